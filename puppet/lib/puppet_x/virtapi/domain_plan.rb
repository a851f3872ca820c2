# What is to be done for a domain, from three readings: what is desired, what libvirt has defined for the next start, and
# what runs. It decides; it does nothing.
require_relative 'domain_merge'

module PuppetX
  module Virtapi
    # The differences of one domain.
    class DomainPlan
      # A device that changes while the VM runs: `kind` is what to do, `device` the desired or the running one.
      Action = Struct.new(:kind, :device, :target)
      # It has no drive for one, or its guest did not let go of the old one.
      SEED_KEPT = 'its seed changes'.freeze

      # @param running [DomainDefinition, nil] nil when the VM does not run
      def initialize(desired, defined, running)
        @desired = desired
        @defined = defined
        @running = running
      end

      # Which properties differ in what is defined.
      def undefined
        @undefined ||= {
          vm_name: @desired.title == @defined.title, cores: @desired.cores == @defined.cores,
          ram_bytes: @desired.memory_kib == @defined.memory_kib,
          cputime_limit: @desired.cputime_limit == @defined.cputime_limit,
          virt_method: @desired.type == @defined.type,
          volumes: equal?(@desired.disks, @defined.disks), seed: @desired.seed == @defined.seed,
          interfaces: equal?(@desired.interfaces, @defined.interfaces),
          gpus: equal?(@desired.gpus, @defined.gpus),
          security_rules: pairs(@desired.interfaces, @defined.interfaces).all? { |one, other| other.nil? || one.filtered_like?(other) },
          restarts: @desired.restarts.nil? || @desired.restarts == @defined.restarts,
          restore: restores.keep == @defined.restores.to_h.slice(*restores.keep.keys)
        }.reject { |_, same| same }.keys
      end

      # What to do to the running VM, by property.
      def actions
        return {} unless @running

        @actions ||= { cputime_limit: cpu, volumes: volumes, seed: seed, interfaces: interfaces, security_rules: filters, restarts: restarts }
      end

      def insync?(property)
        !undefined.include?(property) && actions.fetch(property, []).empty?
      end

      # The volumes that are to be brought back to a snapshot when the machine does not run, by UUID.
      def pending_restores
        restores.pending
      end

      # Whether somebody has asked for a restart since it was started. One that has no number yet is older than that.
      def restart_asked?
        kept = @running && (@running.restarts || @defined.restarts)
        !kept.nil? && !@desired.restarts.nil? && kept < @desired.restarts
      end

      # What only a restart can bring to the running VM.
      def restart_reasons
        return [] unless @running

        reasons = []
        reasons << "#{@running.type} becomes #{@desired.type}" unless @running.type == @desired.type
        reasons << "#{@running.cores} cores become #{@desired.cores}" unless @running.cores == @desired.cores
        unless @running.memory_kib == @desired.memory_kib
          reasons << "#{@running.memory_kib} KiB of memory become #{@desired.memory_kib}"
        end
        reasons << SEED_KEPT unless @running.seed == @desired.seed || !seed.empty?
        reasons << "restart #{@desired.restarts} is asked for" if restart_asked?
        reasons + pending_restores.map { |uuid| "volume #{uuid} is to be restored" } + device_reasons + gpu_reasons
      end

      private

      def restores
        @restores ||= RestorePlan.of(@desired, @defined)
      end

      # Each desired device as it is defined, and no other of ours.
      def equal?(desired, defined)
        desired.all? { |device| defined.any? { |other| device.same?(other) && device.like?(other) } } &&
          gone(desired, defined).empty?
      end

      def gone(desired, present)
        present.select { |device| device.ours? && desired.none? { |other| other.same?(device) } }
      end

      # Desired devices with those that run.
      def pairs(desired, running)
        desired.map { |device| [device, running.find { |other| device.same?(other) }] }
      end

      def cpu
        @desired.cputime_limit == @running.cputime_limit ? [] : [Action.new(:limit_cpu, @desired.cputime_limit)]
      end

      def volumes
        targets = DomainMerge.targets(@desired, @defined)
        gone(@desired.disks, @running.disks).map { |disk| Action.new(:detach_disk, disk, disk.target) } +
          pairs(@desired.disks, @running.disks).map do |disk, other|
            if other.nil?
              Action.new(:attach_disk, disk, targets.assoc(disk).last)
            elsif disk.limits != other.limits
              Action.new(:limit_disk, disk, other.target)
            end
          end.compact
      end

      # Tried once, when it is defined: a guest may hold what is in its drive for as long as it likes.
      def seed
        drive = @running.drive
        return [] if drive.nil? || drive.source == @desired.seed || !undefined.include?(:seed)

        [Action.new(:change_seed, @desired.seed, drive.target)]
      end

      # To keep it is not to restart it.
      def restarts
        return [] if @desired.restarts.nil? || @desired.restarts == @running.restarts || restart_asked?

        [Action.new(:keep_restarts, @desired.restarts)]
      end

      def interfaces
        gone(@desired.interfaces, @running.interfaces).reject(&:cut)
                                                      .map { |interface| Action.new(:detach_interface, interface) } +
          pairs(@desired.interfaces, @running.interfaces)
          .select { |_, other| other.nil? }.map { |interface, _| Action.new(:attach_interface, interface) }
      end

      # The running interface, with the filter that it shall have.
      def filters
        pairs(@desired.interfaces, @running.interfaces).reject { |one, other| other.nil? || one.filtered_like?(other) }
                                                       .map { |one, other| Action.new(:filter_interface, other, one.filter) }
      end

      # Those that it has not, and those that it has yet.
      def gpu_reasons
        pairs(@desired.gpus, @running.gpus).select { |_, other| other.nil? }.map { |gpu, _| "device #{gpu.address} comes" } +
          gone(@desired.gpus, @running.gpus).map { |gpu| "device #{gpu.address} goes" }
      end

      def device_reasons
        pairs(@desired.disks, @running.disks).select { |disk, other| other && disk.fixed != other.fixed }
                                             .map { |disk, _| "volume #{disk.uuid} changes" } +
          pairs(@desired.interfaces, @running.interfaces)
          .select { |interface, other| other && !interface.like?(other) }
          .map { |interface, _| "interface #{interface.mac} changes" } +
          gone(@desired.interfaces, @running.interfaces).select(&:cut)
                                                        .map { |interface| "interface #{interface.mac} is cut off, and not yet released" }
      end
    end
  end
end
