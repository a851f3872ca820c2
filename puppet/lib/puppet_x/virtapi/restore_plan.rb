# Which volumes of a machine are to be brought back to a snapshot: from the numbers of the document and those that its domain keeps. It
# decides; it looks at nothing and does nothing. tests/golden/snapshots/plans.json has examples.

module PuppetX
  module Virtapi
    # The plan of one domain, by UUIDs of volumes.
    class RestorePlan
      # `keep` is what the domain is to keep by now: the numbers of those that are pending come when they are done.
      attr_reader :pending, :keep

      # @param desired [DomainDefinition] from the document
      # @param defined [DomainDefinition] from libvirt
      def self.of(desired, defined)
        disks = desired.disks.select(&:ours?)
        attached = disks.select { |disk| defined.disks.any? { |other| disk.same?(other) } }
        new(wanted: disks.map { |disk| [disk.uuid, desired.restores.to_h[disk.uuid]] }.to_h, kept: defined.restores,
            attached: attached.map(&:uuid))
      end

      # @param wanted [Hash] the number of each volume of the machine; nil where the document has none
      # @param kept [Hash, nil] the numbers that the domain keeps; nil where it has no metadata of ours
      # @param attached [Array] the volumes that the domain has by now
      def initialize(wanted:, kept:, attached:)
        before = kept.to_h
        # One that is new to the domain, as the domain itself may be, has nothing to go back to.
        known = kept ? attached : []
        @pending = wanted.select { |uuid, number| number && known.include?(uuid) && before.fetch(uuid, 0) < number }.keys
        @keep = wanted.map { |uuid, number| [uuid, @pending.include?(uuid) ? before[uuid] : number || before[uuid]] }.to_h.compact
      end
    end
  end
end
