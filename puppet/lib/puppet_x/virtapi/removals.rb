# What of a hypervisor's tombstones is still there, and what follows from that. It looks, and does nothing.
require_relative 'lxc'
require_relative 'qcow2'
require_relative 'removal_plan'
require_relative 'removed_volume'
require_relative 'seed_images'
require_relative 'virsh'

module PuppetX
  module Virtapi
    # One look at everything that a virtapi_removals speaks of; in no more calls than there are kinds of storage and pools.
    class Removals
      # @param resource [Puppet::Type] a virtapi_removals in its catalog
      def initialize(resource)
        @resource = resource
        @managed = resource.catalog.resources.group_by(&:type)
      end

      def plan
        look
        @plan
      end

      # What cannot be removed, and why.
      def problems
        look
        @problems
      end

      # Machines that would start with the hypervisor, and are not to: that is no removal.
      def autostart
        return [] if plan.refused || @domains.empty?

        (@domains.keys - plan.wrong) & (Virsh.autostart + containers.select { |_, container| container.autostart? }.keys)
      end

      # The container that a machine is; nil where it is a domain.
      def container(uuid)
        containers[uuid]
      end

      def lxc
        Lxc.new(@resource[:lxc_path])
      end

      # What is over, and nothing of it is there.
      def removed
        plan.removed - seeds - filters
      end

      # Machines that are over and gone, and whose seeds are there.
      def seeds
        plan.removed.select { |uuid| tombstones['vms'].key?(uuid) && !images(uuid).all.empty? }
      end

      # Machines that are over and gone, and whose packet filters are there.
      def filters
        over = plan.removed.select { |uuid| tombstones['vms'].key?(uuid) }
        over.empty? ? [] : over.select { |uuid| filter_names.include?(NetworkFilter.name_of(uuid)) }
      end

      # Of all machines, as it is now.
      def filter_names
        @filter_names ||= Virsh.filter_names
      end

      def images(uuid)
        SeedImages.new(uuid)
      end

      # How a domain is: running, paused, stopped, or crashed in its emulator.
      def state(uuid)
        @domains.fetch(uuid)['state']
      end

      def volume(uuid)
        @volumes.fetch(uuid)
      end

      # What a person calls it.
      def name(uuid)
        tombstone = tombstones['vms'][uuid]
        tombstone ? tombstone['domain'] : volume(uuid).place
      end

      # The volumes' places, whatever the document says of them.
      def places
        tombstones['volumes'].values.map { |tombstone| volume_of(tombstone).place }
      end

      # What has a volume, as a disk, below one or as its root, whether or not it runs: how a person calls it.
      def user(volume, domains, containers)
        same = ->(source) { source == volume.source || File.identical?(source, volume.source) }
        domain = domains.find { |each| sources(each).any?(&same) }
        return "domain #{domain.defined.name}" if domain

        container = containers.find { |each| same.call(each.source) }
        "container #{container.name}" if container
      end

      private

      def tombstones
        @resource[:tombstones]
      end

      def look
        return if @plan

        @problems = []
        vms = vms_to_remove
        @domains = vms.empty? ? {} : domains(vms)
        @volumes = volumes_to_remove
        there = there(@volumes)
        @plan = RemovalPlan.new(
          vms: machines.length, volumes: managed(:virtapi_volume).length, domains: @domains, there: there,
          tombstones: { 'vms' => vms, 'volumes' => tombstones['volumes'].slice(*@volumes.keys) },
          approved: @resource[:meta]['approved'] == true, max_removals: @resource[:max_removals], now: Time.now
        )
        @problems.concat(@plan.wrong.map { |uuid| "domain #{@domains[uuid]['name']} has the UUID of #{name(uuid)}: another made it" })
      end

      def managed(type)
        @managed.fetch(type, [])
      end

      def machines
        managed(:virtapi_domain) + managed(:virtapi_container)
      end

      def containers
        @containers ||= lxc.containers.select(&:uuid).map { |container| [container.uuid, container] }.to_h
      end

      # What the document still has is none of ours to remove.
      def vms_to_remove
        kept = machines.map { |machine| machine[:uuid] }
        remaining(tombstones['vms']) { |uuid, tombstone| tombstone['domain'] if kept.include?(uuid) }
      end

      def volumes_to_remove
        kept = managed(:virtapi_volume).map { |volume| volume[:uuid] }
        places = managed(:virtapi_volume).flat_map { |volume| [volume[:place], volume[:backing] && volume[:backing]['path']] }
        remaining(tombstones['volumes'].transform_values { |tombstone| volume_of(tombstone) }) do |uuid, volume|
          volume.place if kept.include?(uuid) || places.include?(volume.place)
        end
      end

      # Those of which the block gives no name.
      def remaining(all)
        all.reject do |uuid, value|
          name = yield(uuid, value)
          @problems << "#{name} has a tombstone, and the document has it: it is left alone" if name
          name
        end
      end

      def volume_of(tombstone)
        RemovedVolume.of(tombstone, @resource[:clusters], @resource[:rbd_user])
      end

      # A domain that has crashed may have left its emulator behind, or not; only what is left can be stopped.
      def domains(vms)
        domains = Virsh.states.slice(*vms.keys).transform_values do |domain|
          { 'name' => domain[:name], 'state' => domain[:active] ? domain[:state] : RemovalPlan::STOPPED }
        end
        contained = containers.slice(*vms.keys).transform_values do |container|
          { 'name' => container.name, 'state' => container.running? ? container.state : RemovalPlan::STOPPED }
        end
        contained.merge(domains)
      end

      # What cannot be looked at is neither there nor gone: nobody knows.
      def there(volumes)
        volumes.group_by { |_, volume| volume.store }.values.flat_map do |same|
          begin
            places = same.first.last.places
            same.select { |_, volume| places.include?(volume.place) }.map(&:first)
          rescue StandardError => error
            @problems << error.message
            same.each { |uuid, _| volumes.delete(uuid) }
            []
          end
        end
      end

      def sources(domain)
        [domain.defined, domain.running].compact.flat_map do |definition|
          definition.sources +
            definition.disks.select { |disk| disk.format == 'qcow2' }.flat_map { |disk| Qcow2.chain(disk.source.to_s) }
        end
      end
    end
  end
end
