# Snapshots of a volume, as its storage has them. When one is taken, deleted or restored is decided elsewhere.
require 'puppet'
require_relative 'qcow2'
require_relative 'qemu_disk'
require_relative 'rbd'

module PuppetX
  module Virtapi
    # By the type of the volume.
    module VolumeSnapshots
      TYPES = %w[qcow2 rbd].freeze

      def self.refuse(type, place)
        raise Puppet::Error, "#{place}: snapshots of #{type} volumes are not taken" unless TYPES.include?(type)
      end

      # @param vm [String] UUID of the machine that has it
      # @param volume [Hash] as the document has it
      # @param clusters [Hash] as the document has them
      def self.of(vm, volume, clusters, rbd_user)
        case volume['type']
        when 'qcow2' then FileSnapshots.new(volume['path'], vm)
        when 'rbd'
          mons = clusters.fetch(volume['cluster'])['mons']
          ImageSnapshots.new("#{volume['pool']}/#{volume['image']}", Rbd.connection(volume['cluster'], rbd_user, mons))
        else refuse(volume['type'], volume['path'] || volume['lv'])
        end
      end
    end

    # Those of a qcow2 file are in it: what QEMU has written of them is there to be read, whether or not it runs.
    class FileSnapshots
      attr_reader :place

      # @param vm [String, nil] UUID of the machine that has it
      def initialize(path, vm)
        @place = path
        @vm = vm
      end

      def names
        Qcow2.snapshots(@place)
      end

      def take(name)
        disk = QemuDisk.of(@vm, @place)
        disk ? disk.take(name) : qemu_img('-c', name)
      end

      def delete(name)
        disk = QemuDisk.of(@vm, @place)
        disk ? disk.delete(name) : qemu_img('-d', name)
      end

      # Only of a machine that does not run. The volume may have grown since.
      def restore(name, bytes)
        qemu_img('-a', name)
        execute('resize', '-q', '-f', 'qcow2', @place, bytes.to_s) if Qcow2.read(@place).size < bytes
      end

      private

      # It refuses an image that a QEMU has open.
      def qemu_img(flag, name)
        execute('snapshot', '-q', flag, name, @place)
      end

      def execute(*words)
        Puppet::Util::Execution.execute(['qemu-img', *words], failonfail: true, combine: true)
      end
    end

    # Ceph takes them whether or not the machine runs.
    class ImageSnapshots
      attr_reader :place

      def initialize(place, connection)
        @place = place
        @image = Rbd.new(place, connection)
      end

      def names
        @image.snapshots.map { |snapshot| snapshot['name'] }
      end

      def take(name)
        @image.snapshot('create', name)
      end

      def delete(name)
        @image.snapshot('rm', name)
      end

      # Only of an image that nobody has open, for Ceph would do it below a machine that runs. The volume may have grown since.
      def restore(name, bytes)
        @image.wait_until_unused
        @image.snapshot('rollback', name)
        @image.resize(bytes) if @image.size < bytes
      end
    end
  end
end
