# Volumes that were removed in virtapi: whether they are there, and how they are deleted. Whether they may be is decided
# elsewhere, but for what the storage itself knows: who has one open, and which snapshots depend on it.
require 'puppet'
require_relative 'rbd'

module PuppetX
  module Virtapi
    # A file, or of a type that nobody here knows.
    class RemovedVolume
      TYPES = %w[qcow2 raw].freeze

      # @param volume [Hash] its tombstone
      # @param clusters [Hash] as the document has them
      def self.of(volume, clusters, rbd_user)
        case volume['type']
        when 'lvm' then RemovedLogicalVolume.new(volume)
        when 'rbd' then RemovedImage.new(volume, clusters[volume['cluster']], rbd_user)
        else new(volume)
        end
      end

      def initialize(volume)
        @volume = volume
      end

      # What it is called where virtapi_volume has its place.
      def place
        @volume['path']
      end

      # What a domain has as the source of its disk.
      def source
        place
      end

      # Those of one store are looked up at once.
      def store
        [:file, place]
      end

      # The places of all volumes in its store.
      def places
        unless TYPES.include?(@volume['type'])
          raise Puppet::Error, "#{place}: type #{@volume['type']} is none that this module manages"
        end

        File.exist?(place) || File.symlink?(place) ? [place] : []
      end

      def delete
        raise Puppet::Error, "#{place} is no file, and stays" unless File.lstat(place).file?

        user = process || loop_device
        raise Puppet::Error, "#{user} has #{place} open: it stays" if user

        File.unlink(place)
      end

      private

      # One that has the file open; nil where none has.
      def process
        found = Dir.glob('/proc/[0-9]*/fd/*').find { |link| File.identical?(link, place) }
        "process #{found.split('/')[2]}" if found
      end

      # The kernel has it open then, and no process.
      def loop_device
        found = Dir.glob('/sys/block/loop*/loop/backing_file').find { |file| File.identical?(File.read(file).chomp, place) }
        "/dev/#{found.split('/')[3]}" if found
      end
    end

    # A logical volume.
    class RemovedLogicalVolume < RemovedVolume
      def place
        "#{@volume['vg']}/#{@volume['lv']}"
      end

      def source
        "/dev/#{place}"
      end

      def store
        [:lvm]
      end

      def places
        Puppet::Type.type(:virtapi_volume).provider(:lvm).sizes.keys
      end

      # LVM refuses one that is open, but would take its snapshots away with it.
      def delete
        snapshots = execute('lvs', '--noheadings', '-o', 'lv_name', '--select', "origin=\"#{@volume['lv']}\"", @volume['vg']).split
        raise Puppet::Error, "#{place} has snapshots (#{snapshots.join(', ')}): it stays" unless snapshots.empty?

        # With what it says of why it does not.
        execute('lvremove', '--yes', place, combine: true)
      end

      private

      def execute(*words, combine: false)
        Puppet::Util::Execution.execute(words, failonfail: true, combine: combine)
      end
    end

    # An image in a pool of Ceph.
    class RemovedImage < RemovedVolume
      # @param cluster [Hash, nil] as the document has it
      def initialize(volume, cluster, rbd_user)
        super(volume)
        @cluster = cluster
        @rbd_user = rbd_user
      end

      def place
        "#{@volume['pool']}/#{@volume['image']}"
      end

      def source
        "rbd:#{place}"
      end

      def store
        [:rbd, *@volume.values_at('cluster', 'pool')]
      end

      def places
        Rbd.places(@volume['pool'], connection)
      end

      # Ceph refuses one that is open, and one that has snapshots of others.
      def delete
        Rbd.new(place, connection).remove
      end

      private

      def connection
        raise Puppet::Error, "#{place}: the document has no cluster #{@volume['cluster']}" unless @cluster

        Rbd.connection(@volume['cluster'], @rbd_user, @cluster['mons'])
      end
    end
  end
end
