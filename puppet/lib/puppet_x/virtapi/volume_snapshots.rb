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
    end

    # Those of a qcow2 file are in it: what QEMU has written of them is there to be read, whether or not it runs.
    class FileSnapshots
      # @param vm [String, nil] UUID of the machine that has it
      def initialize(path, vm)
        @path = path
        @vm = vm
      end

      def names
        Qcow2.snapshots(@path)
      end

      def take(name)
        disk = QemuDisk.of(@vm, @path)
        disk ? disk.take(name) : qemu_img('-c', name)
      end

      def delete(name)
        disk = QemuDisk.of(@vm, @path)
        disk ? disk.delete(name) : qemu_img('-d', name)
      end

      private

      # It refuses an image that a QEMU has open.
      def qemu_img(flag, name)
        Puppet::Util::Execution.execute(['qemu-img', 'snapshot', '-q', flag, name, @path], failonfail: true, combine: true)
      end
    end

    # Ceph takes them whether or not the machine runs.
    class ImageSnapshots
      def initialize(place, connection)
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
    end
  end
end
