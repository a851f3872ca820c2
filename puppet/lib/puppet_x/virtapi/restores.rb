# How volumes of a machine that does not run are brought back to a snapshot, and that the domain keeps which ones were. When that is to
# be is decided elsewhere.
require_relative 'domain_metadata'
require_relative 'virsh'
require_relative 'volume_snapshots'

module PuppetX
  module Virtapi
    # Those of one domain.
    class Restores
      # @param resource [Puppet::Type] its virtapi_domain
      # @param uuids [Array] the volumes
      def initialize(resource, uuids)
        @resource = resource
        @left = resource.machine['volumes'].select { |volume| uuids.include?(volume['uuid']) }
      end

      def empty?
        @left.empty?
      end

      # Raises where one cannot be done, before anything is.
      def check
        @left.each do |volume|
          storage = storage(volume)
          next if storage.names.include?(name(volume))

          raise Puppet::Error, "#{@resource[:domain]}: #{storage.place} has no snapshot #{name(volume)}: nothing is restored"
        end
      end

      # Each is kept as soon as it is done: what is interrupted is done again, which does no harm before the machine starts.
      def carry_out
        until @left.empty?
          volume = @left.first
          storage(volume).restore(name(volume), volume['size_bytes'])
          keep(volume)
          @left.shift
        end
      end

      private

      def name(volume)
        SnapshotPlan.name_of(volume['restore']['snapshot'])
      end

      def storage(volume)
        VolumeSnapshots.of(@resource[:uuid], volume, @resource[:clusters], @resource[:rbd_user])
      end

      def keep(volume)
        uuid = @resource[:uuid]
        defined = Virsh.domains([uuid]).fetch(uuid).defined
        numbers = defined.restores.to_h.merge(volume['uuid'] => volume['restore']['number'])
        Virsh.run('metadata', uuid, '--uri', DomainMetadata::NAMESPACE, '--key', DomainMetadata::PREFIX, '--config',
                  '--set', DomainMetadata.words(defined.restarts, numbers))
      end
    end
  end
end
