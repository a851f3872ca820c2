# A VM's bridge by Open vSwitch. A pair of patch ports connects it to the uplink bridge, which is the operator's; the port
# there has the VLAN's tag, or the tags of several. A VXLAN has a port of its own on the VM's bridge.
require 'json'
require_relative '../../../puppet_x/virtapi/ovs_database'
require_relative '../../../puppet_x/virtapi/segment'

Puppet::Type.type(:virtapi_bridge).provide(:openvswitch) do
  desc 'Bridges of Open vSwitch.'

  commands vsctl: 'ovs-vsctl'

  attr_writer :database

  # Where Open vSwitch is installed and does not run, there are none.
  def self.instances
    return [] unless PuppetX::Virtapi::OvsDatabase.running?

    database = PuppetX::Virtapi::OvsDatabase.read
    database.bridges.grep(/\Abr-?[0-9a-f]+-[0-9a-f]+\z/).map do |name|
      provider = new(name: name, ensure: :present)
      provider.database = database
      provider
    end
  end

  def self.prefetch(resources)
    database = PuppetX::Virtapi::OvsDatabase.read
    resources.each_value { |resource| resource.provider.database = database }
  end

  # Why a segment cannot be had here; nil when it can.
  def unable(segment)
    case segment.kind
    when :mixed then "one interface cannot have several VXLANs (#{segment.names.join(', ')})"
    when :vxlan then 'VXLAN by Open vSwitch is not managed: the document does not name the other hypervisors'
    when :vlan, :trunk
      return "VLAN #{segment.names.first} needs an uplink, a bridge of Open vSwitch" unless resource[:uplink]

      "the uplink #{resource[:uplink]} is no bridge of Open vSwitch" unless @database.bridges.include?(resource[:uplink])
    end
  end

  def name
    @resource ? @resource[:name] : get(:name)
  end

  def exists?
    @database.bridges.include?(name)
  end

  def create
    # The same datapath as the uplink's, for a patch joins no other.
    datapath = resource[:uplink] ? @database.datapath_type(resource[:uplink]) : ''
    words = ['add-br', name]
    words.push('--', 'set', 'bridge', name, "datapath_type=#{datapath}") unless datapath.empty?
    vsctl(*words)
    Puppet::Util::Execution.execute(['ip', 'link', 'set', name, 'up'], failonfail: true)
    connect(resource.segment)
  end

  def vlans
    inner, outer = PuppetX::Virtapi::Segment.cable(name)
    return 'none' unless @database.bridge_of(inner) == name

    tags = @database.tags(outer)
    # A port without a tag is a trunk of everything.
    return 'everything' if tags.empty?

    @database.bridge_of(outer) ? "#{@database.access?(outer) ? 'vlan' : 'trunk'} #{tags.join(',')}" : 'nothing'
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
