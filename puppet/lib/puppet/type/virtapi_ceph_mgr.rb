# A manager daemon of a Ceph cluster.
require_relative '../../puppet_x/virtapi/ceph_daemon'
require_relative '../../puppet_x/virtapi/evaluated'

Puppet::Type.newtype(:virtapi_ceph_mgr) do
  @doc = <<-DOC
    A manager daemon of a Ceph cluster on this node, titled `cluster/name`. The cluster makes its key. `ensure => absent` ends
    it and deletes its key.
  DOC

  include PuppetX::Virtapi::Evaluated
  include PuppetX::Virtapi::Ceph::Title

  ensurable do
    desc 'Whether it is there. Only what is said to be absent is taken away.'
    newvalue(:present) { provider.create }
    newvalue(:absent) { provider.destroy }
    defaultto :present
  end

  newparam(:name, namevar: true) do
    desc 'Its cluster and its name there: `cluster/name`.'
    newvalues(%r{\A[^/\s]+/[^/\s]+\z})
  end

  newparam(:init) do
    desc 'How daemons are started: by `systemd`, or `direct`; by default systemd where it runs.'
    newvalues(:systemd, :direct)
    defaultto { PuppetX::Virtapi::CephDaemon.init }
  end

  newproperty(:state) do
    desc 'Whether it runs.'
    newvalues(:running)
    defaultto { @resource[:ensure] == :absent ? nil : :running }
  end

  autorequire(:file) { "/etc/ceph/#{cluster}.conf" }
  autorequire(:virtapi_ceph_keyring) { "#{cluster}/client.admin" }
  autorequire(:virtapi_ceph_mon) { catalog.resources.select { |resource| resource.type == :virtapi_ceph_mon }.map(&:title) }
end
