# What the providers of virtapi_volume have in common: when a volume may be made, and how a running VM learns that its disk
# has grown.
require_relative 'lxc'
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
        user = resource[:vm] && (container || domain)
        if user
          raise Puppet::Error, "#{resource[:place]} is lost: #{user} has it, and it is not there. No empty one is made in its place"
        end

        make(resource[:size_bytes])
      end

      def size_bytes=(bytes)
        disk = running_disk
        grow(bytes, disk)
      end

      private

      # The domain that has it, as a person calls it; nil where none has.
      def domain
        found = Virsh.domains([resource[:vm]]).values.first
        "domain #{found.defined.name}" if found && found.defined.disks.any? { |disk| disk.source == source }
      end

      # The same of the container, where the machine is one.
      def container
        machines = resource.catalog ? resource.catalog.resources : []
        machine = machines.find { |each| each.type == :virtapi_container && each[:uuid] == resource[:vm] }
        return unless machine

        found = Lxc.new(machine[:lxc_path]).containers.find { |each| each.uuid == resource[:vm] && each.source == source }
        "container #{found.name}" if found
      end

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
