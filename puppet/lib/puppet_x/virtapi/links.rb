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
        new(ask)
      end

      def self.ask
        Puppet::Util::Execution.execute(%w[ip -json -details link show], failonfail: true, combine: false)
      end

      # All addresses of this machine, each with its device and the MTU of that.
      def self.addresses
        text = Puppet::Util::Execution.execute(%w[ip -json address show], failonfail: true, combine: false)
        JSON.parse(text).flat_map do |link|
          link.fetch('addr_info', []).map { |address| [address['local'], link.values_at('ifname', 'mtu')] }
        end.to_h
      end

      def initialize(text)
        # Older releases write an empty object for each device that does not fit.
        @links = JSON.parse(text).reject(&:empty?).map { |link| [link['ifname'], link] }.to_h
      end

      # Ask anew, for all who share this.
      def update
        initialize(self.class.ask)
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

      def mtu(name)
        @links.fetch(name, {})['mtu']
      end

      # The device that a VLAN or a VXLAN goes out by.
      def below(name)
        link = @links.fetch(name, {})
        link['link'] || link.dig('linkinfo', 'info_data', 'link')
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
