# The bridges and ports of Open vSwitch, from one call of ovs-vsctl.
require 'json'
require 'puppet'

module PuppetX
  module Virtapi
    # Reads Open vSwitch's database.
    class OvsDatabase
      def self.running?
        Puppet::Util::Execution.execute(%w[ovs-vsctl --timeout=5 --no-wait show], failonfail: false).exitstatus.zero?
      end

      def self.read
        new(Puppet::Util::Execution.execute(
              ['ovs-vsctl', '--timeout=10', '--format=json', '--', '--columns=name,ports,datapath_type', 'list', 'Bridge',
               '--', '--columns=_uuid,name,tag,trunks', 'list', 'Port'], failonfail: true, combine: false
            ))
      end

      # @param text [String] one table of JSON on each line: bridges, ports
      def initialize(text)
        bridges, ports = text.lines.map { |line| rows(JSON.parse(line)) }
        @ports = (ports || []).map { |port| [set(port['_uuid']).first, port] }.to_h
        @bridges = (bridges || []).map { |bridge| [bridge['name'], bridge] }.to_h
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

      private

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
