# An OSD of a Ceph cluster: one disk.
require_relative '../../puppet_x/virtapi/ceph_daemon'
require_relative '../../puppet_x/virtapi/evaluated'
require_relative '../../puppet_x/virtapi/removal_share'

Puppet::Type.newtype(:virtapi_ceph_osd) do
  @doc = <<-DOC
    An OSD of a Ceph cluster on this node, known by its UUID. It is made on a device that is blank, and nothing erases one. An
    OSD that the cluster knows and that is not here any more is not made anew: it is lost, and an empty one would hide that.
    One that people have taken out stays out.

    `ensure => absent` takes one away, one step in each run: out, then, when Ceph says that it is safe, purged. It never waits;
    a warning says what it would wait for. Where more than `max_removals` per cent of a node's OSDs are to go, none does, until
    the document is approved.
  DOC

  include PuppetX::Virtapi::Evaluated

  ensurable do
    desc 'Whether it is there. Only what is said to be absent is taken away, step by step.'
    newvalue(:present) { provider.create }
    newvalue(:absent) { provider.remove }
    defaultto :present

    def retrieve
      should == :absent ? provider.removal : super
    end

    def insync?(is)
      return super unless should == :absent

      provider.removed?(is)
    end

    def change_to_s(is, should)
      should == :absent ? provider.removal_done : super
    end
  end

  newparam(:uuid, namevar: true) do
    desc "The OSD's UUID, which Ceph calls its fsid."
    newvalues(/\A[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\z/)
  end

  newparam(:cluster) do
    desc 'Its cluster, by name.'
  end

  PuppetX::Virtapi::RemovalShare.add_to(
    self, "How many per cent of the node's OSDs may be on their way out at the same time, but always one.",
  )

  newparam(:init) do
    desc 'How daemons are started: by `systemd`, or `direct`; by default systemd where it runs.'
    newvalues(:systemd, :direct)
    defaultto { PuppetX::Virtapi::CephDaemon.init }
  end

  newparam(:store) do
    desc 'Where its data is: on the `device`, in a `file` of its directory, or in `memory`. The last two are for tests.'
    newvalues(:device, :file, :memory)
    defaultto :device
  end

  newparam(:device) do
    desc 'The device that it is made on. One that is there may have got another name since.'
  end

  newparam(:db_device) do
    desc 'The device of its database, where that is another one.'
  end

  newproperty(:device_class) do
    desc "Its class in Ceph's map of devices. Data moves when it changes."
  end

  newproperty(:state) do
    desc 'Whether the cluster has it up.'
    newvalues(:up)
    defaultto { @resource[:ensure] == :absent ? nil : :up }
  end

  validate do
    next if self[:provider] && !self[:cluster] && !self[:device] # as `puppet resource` lists them

    raise Puppet::Error, 'cluster must be given' unless self[:cluster]
    next if self[:ensure] == :absent || self[:store] != :device || self[:device]

    raise Puppet::Error, 'device must be given'
  end

  # Together they would take more away than a person has looked at.
  def refuse
    return unless self[:ensure] == :absent && catalog

    osds = catalog.resources.select { |resource| resource.type == :virtapi_ceph_osd && resource.provider.there? }
    going = osds.count { |osd| osd[:ensure] == :absent }
    many = PuppetX::Virtapi::RemovalShare.excess(going, osds.length, 'OSDs', self[:max_removals])
    return if many.nil? || (document && document[:meta]['approved'])

    how = document && PuppetX::Virtapi::RemovalShare.how_to_approve(document[:certname], document[:meta])
    raise Puppet::Error, ["#{many} would be removed, and at most #{self[:max_removals]} per cent are at the same time: none is.",
                          how].compact.join(' ')
  end

  autorequire(:file) { "/etc/ceph/#{self[:cluster]}.conf" }
  autorequire(:virtapi_ceph_keyring) { "#{self[:cluster]}/client.admin" }
  autorequire(:virtapi_ceph_mon) { catalog.resources.select { |resource| resource.type == :virtapi_ceph_mon }.map(&:title) }
  autorequire(:virtapi_ceph_mgr) { catalog.resources.select { |resource| resource.type == :virtapi_ceph_mgr }.map(&:title) }
end
