# The bridge of one interface of a virtual machine.
require_relative '../../puppet_x/virtapi/evaluated'
require_relative '../../puppet_x/virtapi/segment'
require_relative '../../puppet_x/virtapi/vxlan_peers'

Puppet::Type.newtype(:virtapi_bridge) do
  @doc = <<-DOC
    The bridge of one interface of a virtual machine, connected to the VLAN or VXLAN that the interface belongs to. The
    provider says by what: `linux` or `openvswitch`. Nothing takes a bridge away.
  DOC

  include PuppetX::Virtapi::Evaluated

  feature :tunnels, 'A VXLAN needs to be told of the other hypervisors.'

  ensurable do
    desc 'A bridge is made, and never taken away.'
    newvalue(:present) { provider.create }
    defaultto :present
  end

  newparam(:name, namevar: true) do
    desc "The bridge's name."
    newvalues(/\Abr[0-9a-f-]{1,13}\z/)
  end

  newparam(:uplink) do
    desc <<-DOC
      What the VLANs come by. For Linux bridges a network device, below which a VLAN device is made for each tag; for
      Open vSwitch a bridge that is there, and of which all VLANs are trunks.
    DOC
  end

  newparam(:vxlan_device) do
    desc 'The network device whose address VXLANs are sent from.'
  end

  newproperty(:vlans, array_matching: :all) do
    desc 'The VLANs of the interface, as the document has them. Without any the bridge is connected to nothing.'

    def insync?(is)
      is.to_s == segment.to_s
    end

    def segment
      PuppetX::Virtapi::Segment.new(Array(should))
    end

    def is_to_s(value)
      value.to_s
    end

    def should_to_s(_value)
      segment.to_s
    end
  end

  newproperty(:vxlan_peers, array_matching: :all, required_features: :tunnels) do
    desc <<-DOC
      The addresses of the hypervisors that VXLANs lead to, by which they send; this node's own are left out. Other tunnels of
      ours go. Whatever else is on a VXLAN's bridge stays.
    DOC

    validate do |value|
      PuppetX::Virtapi::VxlanPeers.canonical(value)
    end

    munge do |value|
      PuppetX::Virtapi::VxlanPeers.canonical(value)
    end

    def insync?(is)
      resource.segment.kind != :vxlan || Array(is) == provider.others
    end

    def is_to_s(value)
      Array(value).join(', ')
    end

    def should_to_s(_value)
      provider.others.join(', ')
    end
  end

  newproperty(:mtu) do
    desc <<-DOC
      The largest packet that all of the way to the other hypervisors has room for; without it all stays as it is. The uplink, and
      what VXLANs are sent by, are not changed: where these have less room, so much is made of the rest.
    DOC

    validate do |value|
      raise ArgumentError, "#{value} is no MTU" unless value.to_s.match?(/\A\d+\z/) && value.to_i.between?(68, 65_535)
    end

    munge(&:to_i)

    def insync?(is)
      is.to_i >= provider.possible_mtu
    end

    def should_to_s(_value)
      provider.possible_mtu.to_s
    end
  end

  newproperty(:link) do
    desc 'Whether the bridge and its cable are up.'
    newvalues(:up)
    defaultto :up
  end

  def segment
    PuppetX::Virtapi::Segment.new(Array(parameter(:vlans) && parameter(:vlans).should))
  end

  def refuse
    return if parameter(:vlans).nil?

    reason = provider.unable(segment)
    raise Puppet::Error, "#{self[:name]}: #{reason}" if reason

    narrow = self[:mtu] && provider.narrow
    warning("#{self[:name]}: #{narrow}") if narrow
  end
end
