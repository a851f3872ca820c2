# What may be done to a cluster of Ceph, from what it says of itself. It decides; it does nothing, and asks nobody.

module PuppetX
  module Virtapi
    # Decisions: a refusal is a text, which says why.
    module CephPlan
      # A decision of what to do next, or why not; `detail` goes with either.
      Step = Struct.new(:kind, :detail)

      # How a monitor that has no data here begins.
      #
      # @param cluster_fsid [String, nil] what the cluster says it is; nil when no monitor answers
      # @param bootstrap [Boolean] whether the site says that the cluster is to be made
      # @param traces [Array<String>] directories here of daemons of this cluster
      def self.mon_beginning(fsid:, cluster_fsid:, bootstrap:, traces:)
        if cluster_fsid
          return Step.new(:join) if cluster_fsid == fsid

          Step.new(:refuse, "the monitors there are those of another cluster: #{cluster_fsid}, and not #{fsid}")
        elsif !bootstrap
          Step.new(:refuse, 'no monitor answers. That does not mean that there is no cluster: it is made only where the site ' \
                            'says so (virtapi::ceph::bootstrap)')
        elsif !traces.empty?
          Step.new(:refuse, "no monitor answers, and there was a cluster: #{traces.join(', ')} is here. None is made in its place")
        else
          Step.new(:bootstrap)
        end
      end

      # Why a monitor may not be removed; nil when it may. `status` is what `ceph quorum_status` says, nil without quorum.
      def self.mon_removal(status, name)
        return 'there is no quorum' if status.nil?

        names = status['monmap']['mons'].map { |mon| mon['name'] }
        return unless names.include?(name)

        rest = names - [name]
        return 'it is the last one' if rest.empty?

        quorum = status['quorum_names'] - [name]
        needed = rest.length / 2 + 1
        return if quorum.length >= needed

        "of the other #{rest.length} only #{quorum.length} are in quorum, and #{needed} are needed"
      end

      # How an OSD that has no directory here comes to have one.
      #
      # @param known [Hash, nil] what the cluster's map has of it
      # @param device [Hash, nil] `uuid` of the OSD that the device has, or `other`, what else; empty when it is blank; nil
      #   when no device is needed
      def self.osd_beginning(uuid, known, device)
        device ||= {}
        own = device['uuid'] == uuid
        if device['uuid'] && !own
          Step.new(:refuse, "the device is that of another OSD: #{device['uuid']}")
        elsif device['other']
          Step.new(:refuse, "the device is not blank: #{device['other']}. Nothing here erases a disk")
        elsif known.nil?
          own ? Step.new(:refuse, 'the device has it, and the cluster does not: it was purged. Nothing here erases a disk') : Step.new(:new)
        elsif known['state'].include?('new')
          # Announced, and never up: an earlier run got no further.
          Step.new(:finish)
        elsif own
          Step.new(:adopt)
        else
          Step.new(:refuse, "the cluster has it as osd.#{known['osd']}, and it is not here: it is lost. No empty one is made in " \
                            'its place; purge it, and give the new disk a new uuid')
        end
      end

      # The next step of taking an OSD away. `known` is what the cluster's map has of it, nil when it does not have it any
      # more; `here` whether there is a directory of it; the block says why it may not be destroyed, nil when it may.
      def self.osd_removal(known, here)
        return here ? Step.new(:clear) : nil if known.nil?
        return Step.new(:out) if known['in'] == 1

        reason = yield
        reason ? Step.new(:wait, reason) : Step.new(:purge)
      end

      # Why a pool may not get this many copies; nil when it may.
      def self.pool_size(is, should)
        return if should >= is

        "has #{is} copies and is to have #{should}: nothing here makes copies fewer"
      end

      # Whether a pool has the placement groups that it should: it may have more, and where Ceph counts them itself, any number.
      def self.pg_num_right?(is, should, autoscale)
        is >= should || autoscale == 'on'
      end
    end
  end
end
