# The key by which libvirt opens volumes in the pools of a cluster.
require_relative '../../puppet_x/virtapi/ceph_key'
require_relative '../../puppet_x/virtapi/ceph_keyring'
require_relative '../../puppet_x/virtapi/evaluated'

Puppet::Type.newtype(:virtapi_ceph_secret) do
  @doc = <<-DOC
    A secret of libvirt with the key of a Ceph user, known by the fsid of the cluster. The key is shown in no log and no report.
    A secret that libvirt calls private was made by others: its key cannot be looked at, and is left as it is. Nothing takes a
    secret away.
  DOC

  include PuppetX::Virtapi::Evaluated

  ensurable do
    desc 'A secret is made, and never taken away.'
    newvalue(:present) { provider.create }
    defaultto :present
  end

  newparam(:fsid, namevar: true) do
    desc 'The fsid of the cluster, which is the UUID of the secret.'
    newvalues(/\A[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\z/)
  end

  newparam(:usage) do
    desc 'What libvirt shows of it: the cluster and the user.'
  end

  newproperty(:key) do
    desc 'The key itself, of type Sensitive.'
    include PuppetX::Virtapi::CephKey
    # The reason that Puppet itself gives would have it.
    validate { |value| raise ArgumentError, 'key is no key of Ceph' unless value =~ PuppetX::Virtapi::CephKeyring::KEY }
  end
end
