# A key of a Ceph cluster.
require_relative '../../puppet_x/virtapi/ceph'
require_relative '../../puppet_x/virtapi/ceph_key'
require_relative '../../puppet_x/virtapi/ceph_keyring'
require_relative '../../puppet_x/virtapi/evaluated'

Puppet::Type.newtype(:virtapi_ceph_keyring) do
  @doc = <<-DOC
    A key of a Ceph cluster, titled `cluster/entity`: a file that only root reads. With `caps` the cluster gets it as well, and
    with what it may do; that needs the administrator's key on this node. The key is shown in no log and no report. Nothing
    takes a key away.
  DOC

  include PuppetX::Virtapi::Evaluated
  include PuppetX::Virtapi::Ceph::Title

  ensurable do
    desc 'A key is made, and never taken away.'
    newvalue(:present) { provider.create }
    defaultto :present
  end

  newparam(:name, namevar: true) do
    desc 'The cluster and whose key it is: `cluster/client.libvirt`.'
    newvalues(%r{\A[^/\s]+/[^/\s]+\z})
  end

  newparam(:path) do
    desc 'The file. By default where Ceph looks for it.'
    newvalues(%r{\A/})
    defaultto { "/etc/ceph/#{@resource[:name].sub('/', '.')}.keyring" }
  end

  newproperty(:key) do
    desc 'The key itself, of type Sensitive.'
    include PuppetX::Virtapi::CephKey
    # The reason that Puppet itself gives would have it.
    validate { |value| raise ArgumentError, 'key is no key of Ceph' unless value =~ PuppetX::Virtapi::CephKeyring::KEY }
  end

  newproperty(:mode) do
    desc 'Who reads the file.'
    newvalues('0600')
    defaultto '0600'
  end

  newproperty(:caps) do
    desc 'What it may do, by service. With it the cluster is told of the key.'

    def insync?(is)
      is == should
    end

    def is_to_s(value)
      value.is_a?(Hash) ? value.sort.map { |service, cap| "#{service}: #{cap}" }.join('; ') : value.to_s
    end
    alias_method :should_to_s, :is_to_s
  end

  validate do
    raise Puppet::Error, 'key must be given' if self[:caps] && parameter(:key).nil?
  end

  autorequire(:file) { "/etc/ceph/#{cluster}.conf" }
  # With caps it needs the cluster; the keys of a cluster's beginning have none.
  autorequire(:virtapi_ceph_mon) do
    self[:caps] ? catalog.resources.select { |resource| resource.type == :virtapi_ceph_mon }.map(&:title) : []
  end
end
