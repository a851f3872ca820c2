# How much of what is there a run may take away before a person has looked at it, and what to send for more. It knows numbers,
# and not what they are of.

module PuppetX
  module Virtapi
    # A share in per cent, of which one is always allowed.
    module RemovalShare
      # For a resource type that has such a share.
      def self.add_to(type, desc)
        type.newparam(:max_removals) do
          desc desc
          validate { |value| raise ArgumentError, 'max_removals must be 1 to 100' unless (1..100).include?(value) }
          defaultto 20
        end
      end

      # How many of how many, where that is too many; else nil.
      def self.excess(count, all, what, percent)
        "#{count} of #{all} #{what}" if count > [all * percent / 100, 1].max
      end

      # @param meta [Hash] the document's version: only that very one is approved
      def self.how_to_approve(certname, meta)
        "To approve: POST /v1/nodes/#{certname}/approve {\"generation\": #{meta['generation']}}"
      end
    end
  end
end
