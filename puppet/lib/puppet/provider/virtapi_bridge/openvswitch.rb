# A VM's bridge by Open vSwitch. A pair of patch ports connects it to the uplink bridge, which is the operator's; the port
# there has the VLAN's tag, or the tags of several.
require_relative '../../../puppet_x/virtapi/bridge_provider'
require_relative '../../../puppet_x/virtapi/ovs_database'
require_relative '../../../puppet_x/virtapi/segment'

Puppet::Type.type(:virtapi_bridge).provide(:openvswitch) do
  desc 'Bridges of Open vSwitch.'

  commands vsctl: 'ovs-vsctl'

  include PuppetX::Virtapi::BridgeProvider

  # It may be installed and not run.
  def self.running?
    PuppetX::Virtapi::OvsDatabase.running?
  end

  def self.read
    PuppetX::Virtapi::OvsDatabase.read
  end

  # Why a segment cannot be had here; nil when it can.
  def unable(segment)
    case segment.kind
    when :mixed then "one interface cannot have several VXLANs (#{segment.names.join(', ')})"
    when :vxlan then 'VXLAN by Open vSwitch is not managed: the document does not name the other hypervisors'
    when :vlan, :trunk
      return "VLAN #{segment.names.first} needs an uplink, a bridge of Open vSwitch" unless resource[:uplink]

      "the uplink #{resource[:uplink]} is no bridge of Open vSwitch" unless @found.bridges.include?(resource[:uplink])
    end
  end

  def exists?
    @found.bridges.include?(name)
  end

  def create
    # The same datapath as the uplink's, for a patch joins no other.
    datapath = resource[:uplink] ? @found.datapath_type(resource[:uplink]) : ''
    words = ['add-br', name]
    words.push('--', 'set', 'bridge', name, "datapath_type=#{datapath}") unless datapath.empty?
    vsctl(*words)
    Puppet::Util::Execution.execute(['ip', 'link', 'set', name, 'up'], failonfail: true)
    connect(resource.segment)
  end

  def vlans
    inner, outer = PuppetX::Virtapi::Segment.cable(name)
    return 'none' unless @found.bridge_of(inner) == name

    tags = @found.tags(outer)
    # A port without a tag is a trunk of everything.
    return 'everything' if tags.empty?

    @found.bridge_of(outer) ? "#{@found.access?(outer) ? 'vlan' : 'trunk'} #{tags.join(',')}" : 'nothing'
  end

  def vlans=(_value)
    connect(resource.segment)
  end

  # Open vSwitch raises its ports itself.
  def link
    :up
  end

  private

  def connect(segment)
    inner, outer = PuppetX::Virtapi::Segment.cable(name)
    if segment.kind == :none
      vsctl('--if-exists', 'del-port', name, inner, '--', '--if-exists', 'del-port', outer)
      return
    end

    # All in one transaction: a patch is never there without its tag. A trunk without tags would carry everything.
    tag = segment.kind == :vlan ? ["tag=#{segment.tag}", 'trunks=[]'] : ['tag=[]', "trunks=#{segment.tags.join(',')}"]
    vsctl('--may-exist', 'add-port', name, inner, '--', 'set', 'interface', inner, 'type=patch', "options:peer=#{outer}",
          '--', '--may-exist', 'add-port', resource[:uplink], outer,
          '--', 'set', 'interface', outer, 'type=patch', "options:peer=#{inner}", '--', 'set', 'port', outer, *tag)
  end
end
