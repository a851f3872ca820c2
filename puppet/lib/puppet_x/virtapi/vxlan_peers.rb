# The other ends of VXLANs by Open vSwitch: one list of addresses serves a whole site.
require 'ipaddr'

module PuppetX
  module Virtapi
    # Addresses of hypervisors, each as it is always written.
    module VxlanPeers
      # Nobody, this machine, and many at once.
      NONE = %w[0.0.0.0/32 127.0.0.0/8 224.0.0.0/4 ::/128 ::1/128 ff00::/8].map { |network| IPAddr.new(network) }.freeze

      # @raise [ArgumentError] if that is no address of one machine
      def self.canonical(text)
        # IPAddr takes a network for its first address, and `fe80::1%eth0`.
        raise ArgumentError, "#{text.inspect} is no IP address" unless text.is_a?(String) && text.match?(/\A[0-9A-Fa-f.:]+\z/)

        address = IPAddr.new(text)
        address = address.native if address.ipv4_mapped?
        raise ArgumentError, "#{text} is no address of another hypervisor" if NONE.any? { |network| network.include?(address) }

        address.to_s
      rescue IPAddr::Error
        raise ArgumentError, "#{text} is no IP address"
      end

      # @param peers [Array<String>] as `canonical` gives them
      # @param own [Array<String>] this node's addresses, which are left out
      def self.others(peers, own)
        (peers.uniq - own).sort
      end
    end
  end
end
