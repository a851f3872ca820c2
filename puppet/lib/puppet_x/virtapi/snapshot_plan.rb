# Which snapshots of a volume are to be taken and which are over: from what the document says and what is there to what is done. It
# decides; it looks at nothing and does nothing. tests/golden/snapshots/plans.json has examples.
require 'time'

module PuppetX
  module Virtapi
    # The plan of one volume; names as the storage has them.
    class SnapshotPlan
      # By what those of virtapi are told from those of others.
      PREFIX = 'virtapi-'.freeze

      attr_reader :take, :delete

      # What the storage calls a snapshot of the document.
      def self.name_of(name)
        "#{PREFIX}#{name}"
      end

      # @param snapshots [Array] as the document has them
      # @param there [Array] the names of those that are there, whosever they are
      # @param now [Time]
      # @param needed [String, nil] the one that a restore waits for, as the document calls it: it stays
      def initialize(snapshots:, there:, now:, needed: nil)
        over, kept = snapshots.partition { |snapshot| snapshot['keep_until'] && Time.iso8601(snapshot['keep_until']) <= now }
        due = kept.select { |snapshot| Time.iso8601(snapshot['take_at']) <= now }
        @take = names(due) - there
        @delete = (names(over) & there) - [needed && SnapshotPlan.name_of(needed)]
      end

      private

      def names(snapshots)
        snapshots.map { |snapshot| SnapshotPlan.name_of(snapshot['name']) }
      end
    end
  end
end
