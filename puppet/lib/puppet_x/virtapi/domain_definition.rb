# What a domain's XML says about the things that virtapi decides, whether we built that XML or libvirt wrote it. Whatever
# else the XML has is not looked at.
require_relative 'domain_metadata'
require_relative 'domain_xml'

module PuppetX
  module Virtapi
    # The reading of one domain's XML.
    class DomainDefinition
      # One disk; `element` is where it was read.
      Disk = Struct.new(:alias_name, :target, :source, :format, :cache, :limits, :element) do
        # What must be the same while the VM runs: a new value takes effect at a start.
        def fixed
          [source, format, cache]
        end

        def uuid
          alias_name[/\Aua-([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})\z/, 1] if alias_name
        end

        def ours?
          !uuid.nil?
        end

        def same?(other)
          ours? && other.ours? ? uuid == other.uuid : source == other.source
        end

        def like?(other)
          fixed == other.fixed && limits == other.limits
        end
      end

      # The drive with the seed; `source` is nil when it is empty.
      Drive = Struct.new(:target, :source, :element)

      # One PCI device that is passed through.
      Gpu = Struct.new(:alias_name, :address, :element) do
        def ours?
          alias_name.to_s.start_with?(DomainXml::GPU)
        end

        def same?(other)
          address == other.address
        end
        alias_method :like?, :same?
      end

      # One network interface; `cut` when its link is down.
      Interface = Struct.new(:alias_name, :mac, :bridge, :switch, :mtu, :cut, :filter, :element) do
        def fixed
          [bridge, switch]
        end

        def ours?
          alias_name.to_s.start_with?('ua-br')
        end

        def same?(other)
          mac == other.mac
        end

        # Whether its packet filter is one of virtapi's.
        def filtered?
          filter.to_s.start_with?(NetworkFilter::PREFIX)
        end

        # A filter of others stays where virtapi has none.
        def filtered_like?(other)
          filter ? filter == other.filter : !other.filtered?
        end

        # One whose size nobody says keeps what it has.
        def like?(other)
          fixed == other.fixed && (mtu.nil? || mtu == other.mtu)
        end
      end

      def initialize(root)
        @root = root
      end

      attr_reader :root

      def name
        @root.text('name')
      end

      def uuid
        @root.text('uuid')
      end

      def type
        @root.attributes['type']
      end

      def title
        @root.text('title')
      end

      # How often it was to be restarted when this was kept; nil where it is not.
      def restarts
        DomainMetadata.restarts(@root)
      end

      # The last restore of each volume when this was kept; nil where nothing of virtapi is.
      def restores
        DomainMetadata.restores(@root)
      end

      def cores
        vcpu = @root.child('vcpu')
        (vcpu.attributes['current'] || @root.text('vcpu')).to_i
      end

      def memory_kib
        @root.text('memory').to_i
      end

      # Per cent of each virtual CPU; nil without a limit.
      def cputime_limit
        quota = @root.text('cputune', 'quota').to_i
        return unless quota.positive?

        period = @root.text('cputune', 'period')
        quota * 100 / (period ? period.to_i : DomainXml::PERIOD)
      end

      def disks
        @disks ||= devices('disk').select { |disk| disk.attributes.fetch('device', 'disk') == 'disk' }.map do |disk|
          Disk.new(disk.attribute('alias', 'name'), disk.attribute('target', 'dev'), source(disk),
                   disk.attribute('driver', 'type'), disk.attribute('driver', 'cache') || 'default', limits(disk), disk)
        end
      end

      # nil where there is none, or one of others.
      def drive
        disk = devices('disk').find { |each| each.attribute('alias', 'name') == DomainXml::SEED }
        Drive.new(disk.attribute('target', 'dev'), source(disk), disk) if disk
      end

      # The image of its seed; nil without one.
      def seed
        drive && drive.source
      end

      # The names of all disks and drives, whosever they are.
      def targets
        devices('disk').map { |disk| disk.attribute('target', 'dev') }
      end

      def interfaces
        @interfaces ||= devices('interface').map do |interface|
          switch = interface.attribute('virtualport', 'type') == 'openvswitch' ? 'openvswitch' : 'linux'
          Interface.new(interface.attribute('alias', 'name'), interface.attribute('mac', 'address'),
                        interface.attribute('source', 'bridge'), switch,
                        interface.attribute('mtu', 'size'), interface.attribute('link', 'state') == 'down', interface.attribute('filterref', 'filter'), interface)
        end
      end

      def gpus
        @gpus ||= devices('hostdev').select { |device| device.attributes['type'] == 'pci' }.map do |device|
          parts = %w[domain bus slot function].map { |name| Integer(device.attribute('source', 'address', name) || 0) }
          Gpu.new(device.attribute('alias', 'name'), format('%04x:%02x:%02x.%x', *parts), device)
        end
      end

      # Whether virtapi's filter is at one of its interfaces.
      def filtered?
        interfaces.any?(&:filtered?)
      end

      # Everything that its disks are or depend on, whatever the kind of disk.
      def sources
        devices('disk').flat_map { |disk| disk.all('source') }.map { |source| place(source) }.compact
      end

      private

      def devices(name)
        devices = @root.child('devices')
        devices ? devices.elements(name) : []
      end

      def source(disk)
        source = disk.child('source')
        source && place(source)
      end

      # Where a disk is; monitors may change under it.
      def place(source)
        protocol = source.attributes['protocol']
        protocol ? "#{protocol}:#{source.attributes['name']}" : source.attributes['file'] || source.attributes['dev']
      end

      def limits(disk)
        DomainXml::IOTUNE.map do |field, name|
          value = disk.text('iotune', name).to_i
          [field, value.positive? ? value : nil]
        end.to_h
      end
    end
  end
end
