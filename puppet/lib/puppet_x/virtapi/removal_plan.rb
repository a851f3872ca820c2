# What a run removes of what has a tombstone, and whether that is more than a run may: from what was looked at to what is done.
# It decides; it looks at nothing and does nothing. tests/golden/removals.json has examples.
require 'time'
require_relative 'removal_share'

module PuppetX
  module Virtapi
    # The plan of one hypervisor; UUIDs in the order in which they are dealt with.
    class RemovalPlan
      # What a domain is in when there is nothing of it that runs.
      STOPPED = 'stopped'.freeze

      attr_reader :stop, :undefine, :delete, :removed, :wrong

      # @param vms [Integer] how many the document has
      # @param volumes [Integer] how many the document has
      # @param tombstones [Hash] `vms` and `volumes`, as the document has them
      # @param domains [Hash] `name` and `state` of the domains that are there, by UUID
      # @param there [Array] the UUIDs of the tombstones' volumes that are there
      # @param approved [Boolean] whether somebody has approved this very document
      # @param max_removals [Integer] per cent
      # @param now [Time]
      def initialize(vms:, volumes:, tombstones:, domains:, there:, approved:, max_removals:, now:)
        @now = now
        @max_removals = max_removals
        found, gone = tombstones['vms'].sort.partition { |uuid, _| domains.key?(uuid) }
        ours, others = found.partition { |uuid, tombstone| domains[uuid]['name'] == tombstone['domain'] }
        images, deleted = tombstones['volumes'].sort.partition { |uuid, _| there.include?(uuid) }
        @wrong = others.map(&:first)
        @removed = due(gone) + due(deleted)
        @stop = ours.map(&:first).reject { |uuid| domains[uuid]['state'] == STOPPED }
        @undefine = due(ours)
        @delete = due(images)
        @excess = approved ? [] : [excess((@stop | @undefine).length, vms + ours.length, 'virtual machines'),
                                   excess(@delete.length, volumes + images.length, 'volumes')].compact
        @stop = @undefine = @delete = [] if refused
      end

      # How many of how many would be too many; nil where the plan may be carried out.
      def refused
        @excess.join(' and ') unless @excess.empty?
      end

      private

      def due(tombstones)
        tombstones.select { |_, tombstone| Time.iso8601(tombstone['not_before']) <= @now }.map(&:first)
      end

      def excess(count, all, what)
        RemovalShare.excess(count, all, what, @max_removals)
      end
    end
  end
end
