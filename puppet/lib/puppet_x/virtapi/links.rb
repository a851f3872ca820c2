# The network devices of this machine, from one `ip -json -details link show`.
require 'json'
require 'puppet'

module PuppetX
  module Virtapi
    # Reads and changes network devices.
    class Links
      def self.ip(*words)
        Puppet::Util::Execution.execute(['ip', *words], failonfail: true, combine: true)
      end

      def self.read
        text = Puppet::Util::Execution.execute(%w[ip -json -details link show], failonfail: true, combine: false)
        new(text)
      end

      # All addresses of this machine.
      def self.addresses
        text = Puppet::Util::Execution.execute(%w[ip -json address show], failonfail: true, combine: false)
        JSON.parse(text).flat_map { |link| link.fetch('addr_info', []).map { |address| address['local'] } }.compact
      end

      def initialize(text)
        # Older releases write an empty object for each device that does not fit.
        @links = JSON.parse(text).reject(&:empty?).map { |link| [link['ifname'], link] }.to_h
      end

      def include?(name)
        @links.key?(name)
      end

      # What a device is: bridge, veth, vxlan, vlan, tun, openvswitch, or nil for a plain one.
      def kind(name)
        @links.fetch(name, {}).dig('linkinfo', 'info_kind')
      end

      def bridges
        @links.keys.select { |name| kind(name) == 'bridge' }
      end

      # The bridge that a device is a port of.
      def master(name)
        @links.fetch(name, {})['master']
      end

      def up?(name)
        @links.fetch(name, {}).fetch('flags', []).include?('UP')
      end

      def vni(name)
        @links.fetch(name, {}).dig('linkinfo', 'info_data', 'id') if kind(name) == 'vxlan'
      end

      def tag(name)
        @links.fetch(name, {}).dig('linkinfo', 'info_data', 'id') if kind(name) == 'vlan'
      end
    end
  end
end
