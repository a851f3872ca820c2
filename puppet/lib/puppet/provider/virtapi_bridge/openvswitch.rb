# A VM's bridge by Open vSwitch. A pair of patch ports connects it to the uplink bridge, which is the operator's; the port
# there has the VLAN's tag, or the tags of several. Or it connects it to the bridge of a VXLAN, which has a tunnel to each
# other hypervisor.
require_relative '../../../puppet_x/virtapi/bridge_provider'
require_relative '../../../puppet_x/virtapi/ovs_database'
require_relative '../../../puppet_x/virtapi/segment'
require_relative '../../../puppet_x/virtapi/vxlan_peers'

Puppet::Type.type(:virtapi_bridge).provide(:openvswitch) do
  desc 'Bridges of Open vSwitch.'

  commands vsctl: 'ovs-vsctl'
  has_feature :tunnels

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
    when :vxlan
      'VXLAN by Open vSwitch needs vxlan_peers, the addresses of the hypervisors' if Array(resource[:vxlan_peers]).empty?
    when :vlan, :trunk
      return "VLAN #{segment.names.first} needs an uplink, a bridge of Open vSwitch" unless resource[:uplink]

      "the uplink #{resource[:uplink]} is no bridge of Open vSwitch" unless @found.bridges.include?(resource[:uplink])
    end
  end

  def exists?
    @found.bridges.include?(name)
  end

  def create
    vsctl(*bridge(name))
    Puppet::Util::Execution.execute(['ip', 'link', 'set', name, 'up'], failonfail: true)
    connect(resource.segment)
  end

  def vlans
    inner, outer = PuppetX::Virtapi::Segment.cable(name)
    return 'none' unless @found.bridge_of(inner) == name

    shared = @found.bridge_of(outer)
    return 'nothing' unless shared

    tags = @found.tags(outer)
    vni = shared[/\Avxlan-(\d+)\z/, 1]
    return tags.empty? ? "vxlan #{vni}" : shared if vni
    # A port without a tag is a trunk of everything.
    return 'everything' if tags.empty?

    "#{@found.access?(outer) ? 'vlan' : 'trunk'} #{tags.join(',')}"
  end

  def vlans=(_value)
    connect(resource.segment)
  end

  # Where the tunnels of the VXLAN lead; one that is not as it should be is shown by its name.
  def vxlan_peers
    return [] unless resource && resource.segment.kind == :vxlan

    @found.tunnels(resource.segment).map { |port, peer| peer || port }.sort
  end

  def vxlan_peers=(_value)
    connect(resource.segment)
  end

  # Where they should lead.
  def others
    PuppetX::Virtapi::VxlanPeers.others(resource[:vxlan_peers], @found.addresses.keys)
  end

  # Patches and tunnels have no MTU, and a bridge takes what its ports take: nothing is to be set.
  def mtu
    resource && resource[:mtu]
  end

  # The device that the segment goes out by, its MTU, and the bytes that are added before; nil where that is not known. Of a VXLAN
  # it is the one with that address of this node which is in the list.
  def underlay
    segment = resource.segment
    return if segment.kind == :none
    return @found.narrowest(resource[:uplink])&.push(0) unless segment.kind == :vxlan

    own = @found.addresses[(resource[:vxlan_peers] & @found.addresses.keys).first]
    [*own, segment.overhead(ipv6: others.any? { |peer| peer.include?(':') })] if own
  end

  # Open vSwitch raises its ports itself.
  def link
    :up
  end

  private

  # All in one transaction: a patch is never there without its tag, and no tunnel that would send on to another.
  def connect(segment)
    inner, outer = PuppetX::Virtapi::Segment.cable(name)
    if segment.kind == :none
      change(['--if-exists', 'del-port', name, inner], ['--if-exists', 'del-port', outer])
      return
    end

    shared = segment.kind == :vxlan ? segment.bridge : resource[:uplink]
    steps = segment.kind == :vxlan ? overlay(segment) : []
    # A cable that led elsewhere goes before: moved within one transaction, the port stays on its old bridge as well, and is dead.
    change(['del-port', outer]) unless [nil, shared].include?(@found.bridge_of(outer))
    change(*steps, ['--may-exist', 'add-port', name, inner], ['set', 'interface', inner, 'type=patch', "options:peer=#{outer}"],
           ['--may-exist', 'add-port', shared, outer], ['set', 'interface', outer, 'type=patch', "options:peer=#{inner}"],
           ['set', 'port', outer, *tags(segment)])
  end

  # The other bridges of a VXLAN shall see what was done for it.
  def change(*steps)
    vsctl(*steps.flat_map { |step| ['--', *step] }.drop(1))
    @found.update
  end

  # A trunk without tags would carry everything; of a VXLAN that is what is wanted.
  def tags(segment)
    case segment.kind
    when :vlan then ["tag=#{segment.tag}", 'trunks=[]']
    when :trunk then ['tag=[]', "trunks=#{segment.tags.join(',')}"]
    else ['tag=[]', 'trunks=[]']
    end
  end

  # Make a bridge, with the same datapath as the uplink's, for a patch joins no other.
  def bridge(name)
    datapath = resource[:uplink] ? @found.datapath_type(resource[:uplink]) : ''
    words = ['add-br', name]
    words.push('--', 'set', 'bridge', name, "datapath_type=#{datapath}") unless datapath.empty?
    words
  end

  # What all interfaces of a VXLAN share. Between protected ports nothing is sent on: in a full mesh each hypervisor has every
  # frame from where it began, and sent on it would go round for ever.
  def overlay(segment)
    wanted = others.map { |peer| [segment.tunnel(peer), peer] }.to_h
    steps = @found.bridges.include?(segment.bridge) ? [] : [bridge(segment.bridge)]
    steps += (@found.tunnels(segment).keys - wanted.keys).map { |port| ['del-port', segment.bridge, port] }
    steps + wanted.flat_map do |port, peer|
      [['--may-exist', 'add-port', segment.bridge, port],
       ['set', 'interface', port, 'type=vxlan', "options:remote_ip=#{remote(peer)}", "options:key=#{segment.vni}"],
       ['set', 'port', port, 'protected=true', "external_ids:#{PuppetX::Virtapi::OvsDatabase::PEER}=#{remote(peer)}"]]
    end
  end

  # As ovs-vsctl takes an address: quoted, for a colon would be the end of a value.
  def remote(peer)
    %("#{peer}")
  end
end
