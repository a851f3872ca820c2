# Which network a VM's bridge belongs to, and what the devices that connect the two are called. docs/convergence.md has
# the picture.
require 'digest'

module PuppetX
  module Virtapi
    # The segment of an interface: none, one VLAN or VXLAN, or several VLANs (a trunk).
    class Segment
      # @param vlans [Array<Hash>] as an interface of the document has them
      def initialize(vlans)
        @vlans = vlans
      end

      def kind
        return :none if @vlans.empty?
        return :mixed if @vlans.length > 1 && @vlans.any? { |vlan| vlan['vni'] }
        return :trunk if @vlans.length > 1

        @vlans.first['vni'] ? :vxlan : :vlan
      end

      def tag
        @vlans.first['tag']
      end

      def vni
        @vlans.first['vni']
      end

      def names
        @vlans.map { |vlan| vlan['name'] }
      end

      def tags
        @vlans.map { |vlan| vlan['tag'] }.sort
      end

      # As a report shows it, and as the same segment is always written.
      def to_s
        case kind
        when :none then 'none'
        when :vlan then "vlan #{tag}"
        when :vxlan then "vxlan #{vni}"
        when :trunk then "trunk #{tags.join(',')}"
        else 'mixed'
        end
      end

      # The bridge that all interfaces of the segment share on this hypervisor: of every VLAN and VXLAN on Linux, of a VXLAN
      # by Open vSwitch; at most 14 characters.
      def bridge
        kind == :vlan ? "vlan-#{tag}" : "vxlan-#{vni}"
      end

      # The device that brings the segment to the other hypervisors.
      def carrier
        kind == :vlan ? "vt#{tag}" : "vx#{vni}"
      end

      # The bytes that a packet gets more on its way to another hypervisor. For the tag of a VLAN every device has room.
      def overhead(ipv6: false)
        return 0 unless kind == :vxlan

        ipv6 ? 70 : 50
      end

      # The multicast group of a VXLAN: its VNI in the block for organizations of their own (RFC 2365).
      def group
        "239.#{(vni >> 16) & 255}.#{(vni >> 8) & 255}.#{vni & 255}"
      end

      # The port of Open vSwitch by which a VXLAN reaches one other hypervisor: always the same, 14 characters, and longer
      # than any carrier.
      def tunnel(peer)
        "vx#{Digest::SHA256.hexdigest("#{vni} #{peer}")[0, 12]}"
      end

      # The ends of the cable between a VM's bridge and the segment, in that order. They are as long as the bridge's name.
      def self.cable(bridge)
        %w[up dn].map { |prefix| bridge.sub(/\Abr/, prefix) }
      end
    end
  end
end
