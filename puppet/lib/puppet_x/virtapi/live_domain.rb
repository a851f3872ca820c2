# What changes in a domain while it runs, one action of its plan after the other. It decides nothing: that is DomainPlan's.
require_relative 'domain_plan'
require_relative 'virsh'

module PuppetX
  module Virtapi
    # One running domain.
    class LiveDomain
      # @param resource [Puppet::Type] its virtapi_domain, which is told what a guest holds on to
      def initialize(resource)
        @resource = resource
        @uuid = resource[:uuid]
      end

      # What goes away goes first, in case that its name is used anew.
      def change(actions)
        actions.sort_by { |action| action.kind.to_s.start_with?('detach') ? 0 : 1 }.each { |action| one(action) }
      end

      # How it is by now.
      def definition
        DomainDefinition.new(Element.parse(virsh('dumpxml', @uuid)))
      end

      private

      def virsh(*words)
        Virsh.run(*words)
      end

      def one(action)
        case action.kind
        when :limit_cpu then limit_cpu(action.device)
        when :limit_disk then limit_disk(action)
        when :attach_disk
          action.device.element.child('target').attributes['dev'] = action.target
          attach(action.device)
        when :attach_interface then attach(action.device)
        when :change_seed then change_seed(action)
        when :detach_disk then detach_disk(action.device)
        when :detach_interface then detach_interface(action.device)
        when :filter_interface then filter_interface(action)
        when :keep_restarts then keep_restarts(action.device)
        end
      end

      def limit_cpu(percent)
        # libvirt takes -1 as no limit.
        quota = percent ? percent * DomainXml::PERIOD / 100 : -1
        virsh('schedinfo', @uuid, '--live', "vcpu_period=#{DomainXml::PERIOD}", "vcpu_quota=#{quota}")
      end

      def limit_disk(action)
        limits = DomainXml::IOTUNE.flat_map do |field, name|
          ["--#{name.tr('_', '-')}", (action.device.limits[field] || 0).to_s]
        end
        virsh('blkdeviotune', @uuid, action.target, '--live', *limits)
      end

      def attach(device)
        Virsh.with_file(device.element.to_s) { |path| virsh('attach-device', @uuid, path, '--live') }
      end

      # The guest has to let go of it; libvirt waits a few seconds for that.
      def detach(device)
        Virsh.with_file(device.element.to_s) { |path| virsh('detach-device', @uuid, path, '--live') }
      end

      def detach_disk(disk)
        detach(disk)
        return if definition.disks.none? { |other| disk.same?(other) }

        raise Puppet::Error, "#{@resource[:domain]}: the guest does not let go of volume #{disk.uuid}"
      end

      # Its guest may have locked the drive, and has the new one at its next start then.
      def change_seed(action)
        virsh('change-media', @uuid, action.target, *(action.device ? [action.device, '--update'] : ['--eject']), '--live')
      rescue Puppet::ExecutionFailure => error
        @resource.warning("#{@resource[:domain]}: restart needed: #{DomainPlan::SEED_KEPT}: #{error.message.strip}")
      end

      # Cut off at once, whatever the guest does.
      def detach_interface(interface)
        virsh('domif-setlink', @uuid, interface.mac, 'down')
        detach(interface)
        return if definition.interfaces.none? { |other| interface.same?(other) }

        @resource.warning("#{@resource[:domain]}: interface #{interface.mac} is cut off, and the guest has not let go of it")
      end

      # All else as it runs: libvirt changes nothing but the filter then.
      def filter_interface(action)
        element = action.device.element
        element.put('filterref', action.target && Element.new('filterref', { 'filter' => action.target }))
        Virsh.with_file(element.to_s) { |path| virsh('update-device', @uuid, path, '--live') }
      end

      def keep_restarts(number)
        virsh('metadata', @uuid, '--uri', DomainMetadata::NAMESPACE, '--key', DomainMetadata::PREFIX, '--live',
              '--set', "<vm restarts='#{number}'/>")
      end
    end
  end
end
