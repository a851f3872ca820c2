# What libvirt's packet filter (nwfilter) lets in and out of one VM: the rules of the document in, XML out, as libvirt itself
# writes it. docs/convergence.md has the rules, and tests/golden the examples. It asks libvirt nothing.
require 'ipaddr'
require_relative 'element'

module PuppetX
  module Virtapi
    # The filter of one VM.
    class NetworkFilter
      # A rule that cannot be carried out; to leave it out would let through what it forbids, or the other way round.
      Refused = Class.new(StandardError)

      PREFIX = 'virtapi-'.freeze
      # Where the kernel says whether it gives bridged packets to the rules that libvirt makes.
      BRIDGES = '/proc/sys/net/bridge'.freeze
      DIRECTIONS = { 'ingress' => 'in', 'egress' => 'out' }.freeze
      FAMILIES = { 'IPv4' => Socket::AF_INET, 'IPv6' => Socket::AF_INET6 }.freeze
      # libvirt's names.
      PROTOCOLS = {
        'IPv4' => { 'tcp' => 'tcp', 'udp' => 'udp', 'icmp' => 'icmp', 'any' => 'all' },
        'IPv6' => { 'tcp' => 'tcp-ipv6', 'udp' => 'udp-ipv6', 'icmp' => 'icmpv6', 'any' => 'all-ipv6' },
      }.freeze
      PORTS = (0..65_535).freeze
      # Neighbour discovery, and the groups without which switches do not pass it on. The kernel does not track them.
      DISCOVERY = [130, 131, 132, 133, 134, 135, 136, 143].freeze
      # A client's port and a server's.
      DHCP = { 'udp' => %w[68 67], 'udp-ipv6' => %w[546 547] }.freeze

      def self.name_of(uuid)
        "#{PREFIX}#{uuid}"
      end

      # Why nothing is filtered, whatever is defined; nil where it is.
      def self.unfiltered(switch)
        return 'libvirt filters nothing on bridges of Open vSwitch' if switch == 'openvswitch'

        off = %w[bridge-nf-call-iptables bridge-nf-call-ip6tables].reject do |name|
          file = File.join(BRIDGES, name)
          File.exist?(file) && File.read(file).strip == '1'
        end
        "the kernel passes bridged packets by its filter (net.bridge.#{off.join(', net.bridge.')}, br_netfilter)" unless off.empty?
      end

      # @param rules [Array<Hash>] as the document has them
      def initialize(uuid, rules)
        @uuid = uuid
        @rules = rules
      end

      def name
        NetworkFilter.name_of(@uuid)
      end

      def build
        Element.new('filter', { 'name' => name, 'chain' => 'root' }, Element.new('uuid', {}, @uuid),
                    frames, discovery, leases, errors, @rules.map { |rule| given(rule) }, outgoing, rest)
      end

      # Whether what libvirt has is this one.
      def like?(text)
        !text.nil? && NetworkFilter.meaning(Element.parse(text)) == NetworkFilter.meaning(build)
      end

      # Addresses can be written in several ways.
      def self.meaning(filter)
        filter.elements('rule').map do |rule|
          match = rule.children.grep(Element).first
          words = match.attributes.map { |name, value| [name, name.end_with?('ipaddr') ? IPAddr.new(value).to_i : value] }
          [rule.attributes, match.name, words.to_h]
        end
      end

      private

      def rule(action, direction, match, other = {}, **words)
        attributes = { 'action' => action, 'direction' => direction, 'priority' => action == 'drop' ? '1000' : '500', **other }
        Element.new('rule', attributes, Element.new(match, words.transform_keys(&:to_s)))
      end

      # What is no IP is ARP, and nothing else.
      def frames
        %w[arp ipv4 ipv6].map { |kind| rule('accept', 'inout', 'mac', protocolid: kind) }
      end

      # By direction: of a type of ICMP libvirt makes no rule for both.
      def discovery
        DISCOVERY.product(%w[in out]).map do |type, direction|
          rule('accept', direction, 'icmpv6', { 'statematch' => 'false' }, type: type.to_s)
        end
      end

      def leases
        DHCP.flat_map do |match, (client, server)|
          [rule('accept', 'out', match, srcportstart: client, dstportstart: server),
           rule('accept', 'in', match, srcportstart: server, dstportstart: client)]
        end
      end

      # Of connections that are let through.
      def errors
        %w[icmp icmpv6].product(%w[in out]).map { |match, direction| rule('accept', direction, match, state: 'RELATED') }
      end

      def given(rule)
        direction, ethertype, protocol = rule.values_at('direction', 'ethertype', 'protocol')
        match = PROTOCOLS.fetch(ethertype, {})[protocol]
        refuse(rule) unless DIRECTIONS.key?(direction) && match
        rule('accept', DIRECTIONS[direction], match, **remote(rule), **ports(rule))
      end

      # Everything, unless the document says what.
      def outgoing
        return if @rules.any? { |rule| rule['direction'] == 'egress' }

        %w[all all-ipv6].map { |match| rule('accept', 'out', match) }
      end

      def rest
        %w[mac all all-ipv6].map { |match| rule('drop', 'inout', match) }
      end

      def remote(rule)
        return {} if rule['remote_ip_prefix'].nil?

        address, length = prefix(rule)
        return {} if length.zero?

        side = rule['direction'] == 'ingress' ? 'src' : 'dst'
        { "#{side}ipaddr": address.to_s, "#{side}ipmask": length.to_s }
      end

      # The address of the network, and how many bits of it count.
      def prefix(rule)
        address = IPAddr.new(rule['remote_ip_prefix'])
        refuse(rule) unless address.family == FAMILIES[rule['ethertype']]
        [address, rule['remote_ip_prefix'][%r{/(\d+)\z}, 1]&.to_i || (address.ipv4? ? 32 : 128)]
      rescue IPAddr::Error
        refuse(rule)
      end

      # One alone is that port alone.
      def ports(rule)
        first, last = rule.values_at('port_range_min', 'port_range_max')
        given = [first, last].compact
        return {} if given.empty?

        first, last = given.values_at(0, -1)
        refuse(rule) unless %w[tcp udp].include?(rule['protocol']) && given.all? { |port| PORTS.cover?(port) } && first <= last
        first == last ? { dstportstart: first.to_s } : { dstportstart: first.to_s, dstportend: last.to_s }
      end

      def refuse(rule)
        raise Refused, "security rule #{rule.compact.values.join(' ')} is none that can be carried out"
      end
    end
  end
end
