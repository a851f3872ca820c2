# A VM's bridge by the kernel alone. All interfaces of a segment share one bridge for it, which has the VLAN or VXLAN
# device as a port, for the kernel allows a tag of a device, and a VNI, once; a veth pair connects each VM's bridge.
require_relative '../../../puppet_x/virtapi/bridge_provider'
require_relative '../../../puppet_x/virtapi/links'
require_relative '../../../puppet_x/virtapi/segment'

Puppet::Type.type(:virtapi_bridge).provide(:linux) do
  desc 'Bridges, VLANs and VXLANs of the Linux kernel.'

  commands iproute: 'ip'
  defaultfor kernel: 'Linux'

  # libvirt's and everybody's port of VXLAN; the kernel's own default is another.
  VXLAN_PORT = '4789'.freeze

  include PuppetX::Virtapi::BridgeProvider

  def self.read
    PuppetX::Virtapi::Links.read
  end

  # Why a segment cannot be had here; nil when it can.
  def unable(segment)
    case segment.kind
    when :trunk, :mixed
      "one interface with several VLANs (#{segment.names.join(', ')}) needs Open vSwitch: a Linux bridge would join them"
    when :vlan
      return if @found.include?(segment.bridge) || resource[:uplink]

      "no network device of this node has VLAN #{segment.names.first}, and no uplink is set"
    when :vxlan
      'VXLAN needs vxlan_device, the device to send from' unless @found.include?(segment.bridge) || resource[:vxlan_device]
    end
  end

  def exists?
    return false unless @found.include?(name)
    return true if @found.kind(name) == 'bridge'

    raise Puppet::Error, "#{name} is there and no Linux bridge: it is left alone"
  end

  def create
    add(name, 'type', 'bridge')
    ip('link', 'set', name, 'up')
    connect(resource.segment)
  end

  # The segment that the bridge is connected to, as Segment writes it.
  def vlans
    inner, outer = PuppetX::Virtapi::Segment.cable(name)
    return 'none' unless @found.master(inner) == name

    segment = @found.master(outer)
    return 'nothing' unless segment

    number = segment[/\A(?:vlan|vxlan)-(\d+)\z/, 1]
    carried = number && carried(segment, number.to_i)
    carried || segment
  end

  def vlans=(_value)
    connect(resource.segment)
  end

  # The smallest of all that packets pass and that is ours.
  def mtu
    way.map { |device| @found.mtu(device) }.compact.min
  end

  def mtu=(_value)
    widen
  end

  # The device that the segment goes out by, its MTU, and the bytes that are added before; nil where nothing goes out.
  def underlay
    segment = resource.segment
    return unless %i[vlan vxlan].include?(segment.kind)

    device = @found.below(segment.carrier) || resource[segment.kind == :vlan ? :uplink : :vxlan_device]
    mtu = device && @found.mtu(device)
    [device, mtu, segment.overhead] if mtu
  end

  def link
    devices = [name]
    devices.concat(PuppetX::Virtapi::Segment.cable(name)) unless vlans == 'none'
    devices.all? { |device| @found.up?(device) } ? :up : :down
  end

  def link=(_value)
    devices = [name, *PuppetX::Virtapi::Segment.cable(name)].select { |device| @found.include?(device) }
    devices.each { |device| ip('link', 'set', device, 'up') }
  end

  private

  # From the outside in.
  def way
    segment = resource ? resource.segment : nil
    return [name] unless segment && %i[vlan vxlan].include?(segment.kind)

    [segment.carrier, segment.bridge, *PuppetX::Virtapi::Segment.cable(name).reverse, name]
  end

  # Nothing is made smaller: what a segment's interfaces share has room for the largest of them.
  def widen
    return unless resource[:mtu]

    @found.update
    narrow = way.select { |device| @found.include?(device) && @found.mtu(device) < possible_mtu }
    narrow.each { |device| ip('link', 'set', device, 'mtu', possible_mtu.to_s) }
    @found.update unless narrow.empty?
  end

  def ip(*words)
    PuppetX::Virtapi::Links.ip(*words)
  end

  # A new device, by which the hypervisor itself is not to be reached.
  def add(device, *words)
    ip('link', 'add', 'name', device, *words)
    without_addresses(device)
  end

  def without_addresses(device)
    ip('link', 'set', device, 'addrgenmode', 'none')
  end

  # `vlan 100` when the segment's bridge really has that VLAN's device as a port and all is up.
  def carried(bridge, number)
    kind, carrier = bridge.start_with?('vlan-') ? ['vlan', "vt#{number}"] : ['vxlan', "vx#{number}"]
    here = @found.master(carrier) == bridge && @found.up?(carrier) && @found.up?(bridge)
    "#{kind} #{number}" if here && (kind == 'vlan' ? @found.tag(carrier) : @found.vni(carrier)) == number
  end

  def connect(segment)
    inner, outer = PuppetX::Virtapi::Segment.cable(name)
    now = PuppetX::Virtapi::Links.read
    if segment.kind == :none
      # Nothing of the segment itself is touched, only our own cable to it.
      ip('link', 'del', inner) if now.kind(inner) == 'veth'
      return widen
    end

    raise_segment(segment, now)
    unless now.include?(inner)
      add(inner, 'type', 'veth', 'peer', 'name', outer)
      without_addresses(outer)
    end
    { inner => name, outer => segment.bridge }.each { |device, bridge| ip('link', 'set', device, 'master', bridge, 'up') }
    widen
  end

  # The bridge that all interfaces of a segment share.
  def raise_segment(segment, now)
    add(segment.bridge, 'type', 'bridge') unless now.include?(segment.bridge)
    unless now.include?(segment.carrier)
      add(segment.carrier, *(segment.kind == :vlan ? vlan(segment) : vxlan(segment)))
    end
    ip('link', 'set', segment.carrier, 'master', segment.bridge, 'up')
    ip('link', 'set', segment.bridge, 'up')
  end

  def vlan(segment)
    raise Puppet::Error, "VLAN #{segment.tag} needs an uplink" unless resource[:uplink]

    ['link', resource[:uplink], 'type', 'vlan', 'id', segment.tag.to_s]
  end

  def vxlan(segment)
    raise Puppet::Error, "VXLAN #{segment.vni} needs vxlan_device" unless resource[:vxlan_device]

    ['type', 'vxlan', 'id', segment.vni.to_s, 'group', segment.group,
     'dev', resource[:vxlan_device], 'dstport', VXLAN_PORT]
  end
end
