# What the providers of virtapi_volume have in common: when a volume may be made, and how a running VM learns that its disk
# has grown.
require_relative 'virsh'

module PuppetX
  module Virtapi
    # A provider that includes it has `size` (nil where the volume is not there), `make`, `grow` and `source`.
    module VolumeProvider
      # A volume may be larger than asked for by less than this: QEMU rounds up to sectors.
      def unit
        512
      end

      def exists?
        !size.nil?
      end

      def size_bytes
        size
      end

      def create
        domain = Virsh.domains([resource[:vm]]).values.first if resource[:vm]
        if domain && domain.defined.disks.any? { |disk| disk.source == source }
          raise Puppet::Error, "#{resource[:place]} is lost: domain #{domain.defined.name} has it, and it is not there. " \
                               'No empty one is made in its place'
        end
        make(resource[:size_bytes])
      end

      def size_bytes=(bytes)
        disk = running_disk
        grow(bytes, disk)
      end

      private

      # The disk of the running VM that is this volume; nil where none runs.
      def running_disk
        return unless resource[:vm]

        @domain = Virsh.domains([resource[:vm]]).values.first
        @domain && @domain.running && @domain.running.disks.find { |disk| disk.source == source }
      end

      def tell_guest(disk, bytes)
        Virsh.run('blockresize', @domain.uuid, disk.target, "#{bytes}B")
      end
    end
  end
end
