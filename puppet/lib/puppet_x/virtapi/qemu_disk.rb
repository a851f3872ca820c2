# A disk of a running machine, by its QEMU: while that has an image open, nobody else may write to it.
require 'json'
require 'puppet'
require_relative 'virsh'

module PuppetX
  module Virtapi
    # By the domain's UUID, and what libvirt calls the device.
    class QemuDisk
      # nil where the domain does not run, or has no disk there.
      def self.of(uuid, source)
        domain = uuid && Virsh.domains([uuid]).values.first
        disk = domain && domain.running && domain.running.disks.find { |each| each.source == source }
        disk && new(uuid, disk.alias_name)
      end

      def initialize(uuid, alias_name)
        @uuid = uuid
        @alias_name = alias_name
      end

      # At once, as after a loss of power.
      def take(name)
        execute('blockdev-snapshot-internal-sync', 'device' => node, 'name' => name)
      end

      def delete(name)
        execute('blockdev-snapshot-delete-internal-sync', 'device' => node, 'name' => name)
      end

      private

      # libvirt names the device, QEMU alone the node below it.
      def node
        found = execute('query-block').find { |block| block['qdev'].to_s.split('/').include?(@alias_name) && block['inserted'] }
        raise Puppet::Error, "QEMU has no disk #{@alias_name}" unless found

        found['inserted']['node-name']
      end

      def execute(command, arguments = nil)
        words = { 'execute' => command, 'arguments' => arguments }.compact
        answer = JSON.parse(Virsh.run('qemu-monitor-command', @uuid, JSON.generate(words)))
        raise Puppet::Error, "#{command}: #{answer['error']['desc']}" if answer['error']

        answer['return']
      end
    end
  end
end
