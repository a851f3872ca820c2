# What is really on a hypervisor at the end of a run, beside what the catalog has: how its VMs are, and what is there that
# virtapi does not know. It only looks.
require_relative 'links'
require_relative 'lxc'
require_relative 'ovs_database'
require_relative 'removals'
require_relative 'segment'
require_relative 'virsh'

module PuppetX
  module Virtapi
    # Looks at one hypervisor.
    class Observation
      # @param hypervisor [Hash] `local_storage_path`, `vg_name`, `switch` and `uplink`
      # @param resources [Array] the catalog's
      def initialize(hypervisor, resources)
        @hypervisor = hypervisor
        @resources = resources.group_by(&:type)
      end

      # What could not be looked at is left out, and the reason given to the block.
      def look(&failed)
        domains = attempt(failed) { Virsh.states }
        containers = attempt(failed) { Lxc.new(@hypervisor['lxc_path'] || Lxc::PATH).containers }
        unmanaged = { 'domains' => domains && unmanaged_domains(domains), 'containers' => unmanaged_containers(containers),
                      'bridges' => attempt(failed) { bridges }, 'volumes' => attempt(failed) { volumes } }.compact
        { 'vms' => domains && containers && vms(domains, containers), 'unmanaged' => unmanaged,
          'removed' => attempt(failed) { removed } }.compact
      end

      private

      def attempt(failed)
        yield
      rescue StandardError => error
        failed.call(error)
        nil
      end

      def of(type)
        @resources.fetch(type, [])
      end

      def uuids
        (of(:virtapi_domain) + of(:virtapi_container)).map { |resource| resource[:uuid] }
      end

      def vms(domains, containers)
        states = containers.map { |container| [container.uuid, container.state] }.to_h
        states.merge(domains.transform_values { |domain| domain[:state] }).select { |uuid, _| uuids.include?(uuid) }.sort.to_h
      end

      # What has a tombstone is known as well.
      def removals
        @removals ||= of(:virtapi_removals).map { |resource| Removals.new(resource) }
      end

      # nil where there is nothing to tell.
      def removed
        found = removals.flat_map { |removals| removals.removed }
        found unless found.empty?
      end

      def known
        uuids + of(:virtapi_removals).flat_map { |resource| resource[:tombstones]['vms'].keys }
      end

      def unmanaged_domains(domains)
        domains.reject { |uuid, _| known.include?(uuid) }.values.map { |domain| domain[:name] }.sort
      end

      # nil where there are no containers, or nobody knows.
      def unmanaged_containers(containers)
        containers.reject { |container| known.include?(container.uuid) }.map(&:name) unless containers.to_a.empty?
      end

      def bridges
        managed = of(:virtapi_bridge)
        segments = managed.map(&:segment).select { |segment| %i[vlan vxlan].include?(segment.kind) }
        there = Links.read.bridges
        there |= OvsDatabase.read.bridges - [@hypervisor['uplink']] if @hypervisor['switch'] == 'openvswitch'
        (there - managed.map { |bridge| bridge[:name] } - segments.map(&:bridge)).sort
      end

      def volumes
        known = of(:virtapi_volume).flat_map { |volume| [volume[:place], volume[:backing] && volume[:backing]['path']] }
        ((files + logical_volumes) - known - removals.flat_map(&:places)).sort
      end

      def files
        path = @hypervisor['local_storage_path']
        return [] unless path && File.directory?(path)

        Dir.children(path).map { |name| File.join(path, name) }.select { |file| File.file?(file) }
      end

      def logical_volumes
        group = @hypervisor['vg_name']
        return [] unless group && Puppet::Util.which('lvs')

        Puppet::Type.type(:virtapi_volume).provider(:lvm).sizes.keys.select { |name| name.start_with?("#{group}/") }
      end
    end
  end
end
