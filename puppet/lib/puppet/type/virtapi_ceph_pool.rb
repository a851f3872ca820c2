# A pool of a Ceph cluster.
require_relative '../../puppet_x/virtapi/ceph'
require_relative '../../puppet_x/virtapi/ceph_plan'
require_relative '../../puppet_x/virtapi/evaluated'

Puppet::Type.newtype(:virtapi_ceph_pool) do
  @doc = <<-DOC
    A pool of a Ceph cluster, titled `cluster/pool`. It is made, and gets more copies and more placement groups. It never gets
    fewer copies: that is an error. Nothing takes a pool away.
  DOC

  include PuppetX::Virtapi::Evaluated
  include PuppetX::Virtapi::Ceph::Title

  ensurable do
    desc 'A pool is made, and never taken away.'
    newvalue(:present) { provider.create }
    defaultto :present
  end

  newparam(:name, namevar: true) do
    desc 'Its cluster and its name: `cluster/pool`.'
    newvalues(%r{\A[^/\s]+/.+\z})
  end

  newproperty(:size) do
    desc 'How many copies there are. Fewer than there are is an error.'
    munge { |value| Integer(value) }
  end

  newproperty(:min_size) do
    desc 'How many copies there must be to write.'
    munge { |value| Integer(value) }
  end

  newproperty(:pg_num) do
    desc 'How many placement groups it has. It may have more, and where Ceph counts them itself (pg_autoscale_mode), any number.'
    munge { |value| Integer(value) }

    def insync?(is)
      PuppetX::Virtapi::CephPlan.pg_num_right?(is, should, provider.autoscale)
    end
  end

  newproperty(:application) do
    desc 'What it is for. Any other application that it has is left as it is.'
    newvalues(/\A[a-z]+\z/)

    def insync?(is)
      is != :absent
    end
  end

  validate do
    next unless self[:size] # as `puppet resource` lists them

    %i[min_size pg_num].each { |name| raise Puppet::Error, "#{name} must be given" if parameter(name).nil? }
  end

  def refuse
    return unless self[:size] && provider.exists?

    reason = PuppetX::Virtapi::CephPlan.pool_size(provider.size, self[:size])
    raise Puppet::Error, "pool #{self[:name]} #{reason}" if reason
  end

  autorequire(:file) { "/etc/ceph/#{cluster}.conf" }
  autorequire(:virtapi_ceph_keyring) { "#{cluster}/client.admin" }
  autorequire(:virtapi_ceph_mon) { catalog.resources.select { |resource| resource.type == :virtapi_ceph_mon }.map(&:title) }
end
