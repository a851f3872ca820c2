# The bridges and ports of Open vSwitch, from one call of ovs-vsctl.
require 'json'
require 'puppet'
require_relative 'links'

module PuppetX
  module Virtapi
    # Reads Open vSwitch's database.
    class OvsDatabase
      # What says of a port, in its external_ids, that it is ours, and to which hypervisor its tunnel leads.
      PEER = 'virtapi-peer'.freeze

      def self.running?
        Puppet::Util::Execution.execute(%w[ovs-vsctl --timeout=5 --no-wait show], failonfail: false).exitstatus.zero?
      end

      def self.read
        new(ask)
      end

      def self.ask
        Puppet::Util::Execution.execute(
          ['ovs-vsctl', '--timeout=10', '--format=json', '--', '--columns=name,ports,datapath_type', 'list', 'Bridge',
           '--', '--columns=_uuid,name,tag,trunks,protected,external_ids', 'list', 'Port',
           '--', '--columns=name,type,options,mtu', 'list', 'Interface'], failonfail: true, combine: false
        )
      end

      # @param text [String] one table of JSON on each line: bridges, ports, interfaces
      def initialize(text)
        bridges, ports, interfaces = text.lines.map { |line| rows(JSON.parse(line)) }
        @ports = (ports || []).map { |port| [set(port['_uuid']).first, port] }.to_h
        @bridges = (bridges || []).map { |bridge| [bridge['name'], bridge] }.to_h
        @interfaces = (interfaces || []).map { |interface| [interface['name'], interface] }.to_h
      end

      # Ask anew, for all who share this.
      def update
        initialize(self.class.ask)
      end

      # This node's own addresses, as Links has them.
      def addresses
        @addresses ||= Links.addresses
      end

      def bridges
        @bridges.keys
      end

      def datapath_type(bridge)
        @bridges.fetch(bridge, {})['datapath_type'].to_s
      end

      def bridge_of(port)
        found = @bridges.find { |_, bridge| set(bridge['ports']).any? { |uuid| @ports.fetch(uuid, {})['name'] == port } }
        found && found.first
      end

      # The tag of an access port, or those of a trunk.
      def tags(port)
        row = row(port)
        access?(port) ? set(row['tag']) : set(row['trunks']).sort
      end

      def access?(port)
        !set(row(port)['tag']).empty?
      end

      # The tunnels of a VXLAN that are ours, by the names of their ports: the other end, or nil where one is not as it should be.
      def tunnels(segment)
        ours = ports_of(segment.bridge).map { |port| [port['name'], map(port['external_ids'])[PEER]] }.select(&:last)
        ours.map { |name, peer| [name, right?(segment, name, peer) ? peer : nil] }.to_h
      end

      # The device with the smallest MTU that is a port of a bridge, and that MTU; nil where none has any.
      def narrowest(bridge)
        devices = ports_of(bridge).map { |port| @interfaces.fetch(port['name'], {}) }.select { |interface| interface['type'] == '' }
        devices.map { |interface| [interface['name'], set(interface['mtu']).first] }.select(&:last).min_by(&:last)
      end

      private

      def right?(segment, name, peer)
        interface = @interfaces.fetch(name, {})
        options = map(interface['options'])
        name == segment.tunnel(peer) && interface['type'] == 'vxlan' && row(name)['protected'] == true &&
          options['remote_ip'] == peer && options['key'] == segment.vni.to_s
      end

      def ports_of(bridge)
        set(@bridges.fetch(bridge, {})['ports']).map { |uuid| @ports.fetch(uuid, {}) }
      end

      # A map of the database: `["map", [["key", "value"]]]`.
      def map(value)
        value.is_a?(Array) ? value.last.to_h : {}
      end

      def row(port)
        @ports.values.find { |row| row['name'] == port } || {}
      end

      def rows(table)
        table['data'].map { |row| table['headings'].zip(row).to_h }
      end

      # A value of the database as a list: `["set", [1, 2]]`, `["uuid", "…"]`, or one value.
      def set(value)
        return [] if value.nil?
        return [value] unless value.is_a?(Array)

        value.first == 'set' ? value.last.flat_map { |one| set(one) } : [value.last]
      end
    end
  end
end
