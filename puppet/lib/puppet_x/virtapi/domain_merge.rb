# The XML to define for a domain that libvirt has already: what virtapi decides is put in, everything else stays as it
# is, such as PCI addresses, by which guests name their devices, and devices that an operator has added.
require_relative 'domain_definition'
require_relative 'restore_plan'

module PuppetX
  module Virtapi
    # Merges what is desired into what is defined.
    class DomainMerge
      # @param desired [Element] from DomainXml
      # @param defined [Element] from libvirt; it is changed
      def initialize(desired, defined)
        @desired = DomainDefinition.new(desired)
        @defined = DomainDefinition.new(defined)
        @restores = RestorePlan.of(@desired, @defined).keep
        # Then nothing is attached to what runs: it is shut down, and started as it is defined here. A machine whose disk is
        # another now boots from it, for it has the place of the old one.
        @restart_due = @desired.restarts && @defined.restarts && @desired.restarts > @defined.restarts
      end

      def merge
        system
        disks
        seed unless @desired.seed == @defined.seed
        interfaces
        gpus
        @defined.root
      end

      # The device names of volumes in their order: a volume keeps the one it has, a new one gets the next that is free; so is
      # that of one that goes, where the two never meet.
      def self.targets(desired, defined, going = [])
        kept = desired.disks.map { |disk| [disk, defined.disks.find { |other| disk.same?(other) }] }
        taken = (defined.disks - going).map(&:target)
        free = (0..).lazy.map { |index| DomainXml.target(index) }.reject { |target| taken.include?(target) }
        kept.map do |disk, other|
          target = other ? other.target : free.first
          taken << target
          [disk, target]
        end
      end

      private

      def system
        put('title', @desired.title == @defined.title)
        DomainMetadata.put(@defined.root, @desired.restarts, @restores)
        unless @desired.memory_kib == @defined.memory_kib
          put('memory', false)
          put('currentMemory', false)
        end
        put('vcpu', @desired.cores == @defined.cores)
        cputune unless @desired.cputime_limit == @defined.cputime_limit
        return if @desired.type == @defined.type

        @defined.root.attributes['type'] = @desired.type
        put('cpu', false)
      end

      def put(name, same)
        @defined.root.put(name, @desired.root.child(name)) unless same
      end

      # Only our two values: others may pin CPUs there.
      def cputune
        tune = @defined.root.child('cputune') || Element.new('cputune')
        %w[period quota].each do |name|
          value = @desired.root.text('cputune', name)
          tune.put(name, value && Element.new(name, {}, value))
        end
        @defined.root.put('cputune', tune.children.empty? ? nil : tune)
      end

      def disks
        targets = DomainMerge.targets(@desired, @defined, @restart_due ? gone(@desired.disks, @defined.disks) : [])
        replace(@desired.disks, @defined.disks) do |disk, other|
          if other
            change_disk(other.element, disk.element)
          else
            disk.element.child('target').attributes['dev'] = targets.assoc(disk).last
            devices << disk.element
          end
        end
      end

      def change_disk(element, desired)
        element.attributes['type'] = desired.attributes['type']
        driver = element.child('driver') || Element.new('driver')
        driver.attributes.delete('cache')
        driver.attributes.update(desired.child('driver').attributes)
        element.put('driver', driver)
        %w[auth source iotune alias].each { |name| element.put(name, desired.child(name)) }
      end

      # A drive that is there gets the new image; without a seed it goes.
      def seed
        drive = @defined.drive
        wanted = @desired.drive
        if wanted.nil?
          devices.delete_if { |element| element.equal?(drive.element) }
        elsif drive
          drive.element.put('source', wanted.element.child('source'))
        else
          free = (0..).lazy.map { |index| DomainXml.drive(index) }.reject { |name| @defined.targets.include?(name) }.first
          wanted.element.child('target').attributes['dev'] = free
          devices << wanted.element
        end
      end

      def interfaces
        replace(@desired.interfaces, @defined.interfaces) do |interface, other|
          if other
            %w[source virtualport target alias].each { |name| other.element.put(name, interface.element.child(name)) }
            other.element.put('mtu', interface.element.child('mtu')) if interface.mtu
            other.element.put('filterref', interface.element.child('filterref')) unless interface.filtered_like?(other)
          else
            devices << interface.element
          end
        end
      end

      def gpus
        replace(@desired.gpus, @defined.gpus) do |gpu, other|
          other ? other.element.put('alias', gpu.element.child('alias')) : devices << gpu.element
        end
      end

      # What is ours and is not desired any more.
      def gone(desired, present)
        present.select { |device| device.ours? && desired.none? { |other| other.same?(device) } }
      end

      # Yields each desired device with the one that is there; what was ours and is no longer desired goes.
      def replace(desired, defined)
        going = gone(desired, defined)
        devices.reject! { |element| going.any? { |device| device.element.equal?(element) } }
        desired.each { |device| yield device, defined.find { |other| device.same?(other) } }
      end

      def devices
        @defined.root.child('devices').children
      end
    end
  end
end
