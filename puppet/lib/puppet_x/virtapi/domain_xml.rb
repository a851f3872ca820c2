# What libvirt is to be told of a VM: the document's entry in, XML out. docs/convergence.md has the rules, and
# tests/golden the examples, which every tool that converges a hypervisor must meet.
#
# It knows nothing of what there is already: that is DomainMerge's.
require_relative 'domain_metadata'
require_relative 'element'
require_relative 'network_filter'
require_relative 'seed'

module PuppetX
  module Virtapi
    # Builds the XML of one domain.
    class DomainXml
      # A VM's percentage of a CPU is of this period, in microseconds.
      PERIOD = 100_000
      # What QEMU takes as a limit per second; nothing gets there.
      MOST = 1_000_000_000_000_000
      TYPES = { 'KVM' => 'kvm', 'QEMU' => 'qemu' }.freeze
      IOTUNE = { 'read_bps_limit' => 'read_bytes_sec', 'write_bps_limit' => 'write_bytes_sec',
                 'read_iops_limit' => 'read_iops_sec', 'write_iops_limit' => 'write_iops_sec' }.freeze

      # By what the drive with the seed is known as ours.
      SEED = 'ua-seed'.freeze

      # And a device that is passed through.
      GPU = 'ua-pci-'.freeze

      # libvirt's type for a method, nil for one that is not libvirt's. Without `accelerate` it is never kvm.
      def self.type(virt_method, accelerate)
        type = TYPES[virt_method]
        type == 'kvm' && !accelerate ? 'qemu' : type
      end

      # The name of the tap device on a VM's bridge: as the bridge, with another beginning. It may not be libvirt's own
      # `vnet`, which libvirt replaces.
      def self.tap(bridge)
        bridge.sub(/\Abr/, 'tp')
      end

      # The n-th disk: vda, …, vdz, vdaa, ….
      def self.target(index)
        "vd#{index.times.inject('a') { |name, _| name.succ }}"
      end

      # The n-th drive for CDs: the machine has four places for them.
      def self.drive(index)
        "hd#{('a'.ord + index).chr}"
      end

      # What libvirt takes as a title: one line, and something in it. nil where nothing is left.
      def self.title(name)
        line = name.gsub(/[[:cntrl:]\u2028\u2029]+/, ' ').strip
        line.empty? ? nil : line
      end

      # @param uuid [String]
      # @param machine [Hash] the VM as the document has it
      # @param settings [Hash] `accelerate`, `switch` (linux or openvswitch), `rbd_user`, and `clusters` as the
      #   document has them
      def initialize(uuid, machine, settings)
        @uuid = uuid
        @machine = machine
        @settings = settings
      end

      def build
        Element.new('domain', { 'type' => type }, head, processors, system, devices)
      end

      def disk(volume, target)
        Element.new('disk', { 'type' => source_type(volume), 'device' => 'disk' },
                    driver(volume), authentication(volume), source(volume),
                    Element.new('target', { 'dev' => target, 'bus' => 'virtio' }),
                    iotune(volume), Element.new('alias', { 'name' => "ua-#{volume['uuid']}" }))
      end

      def interface(interface)
        bridge = interface['bridge']
        switch = Element.new('virtualport', { 'type' => 'openvswitch' }) if @settings['switch'] == 'openvswitch'
        Element.new('interface', { 'type' => 'bridge' },
                    Element.new('mac', { 'address' => interface['mac'] }),
                    Element.new('source', { 'bridge' => bridge }), switch,
                    Element.new('target', { 'dev' => DomainXml.tap(bridge) }),
                    Element.new('model', { 'type' => 'virtio' }),
                    (Element.new('mtu', { 'size' => interface['mtu'].to_s }) if interface['mtu']),
                    (Element.new('filterref', { 'filter' => filter.name }) if filter),
                    Element.new('alias', { 'name' => "ua-#{bridge}" }))
      end

      # A PCI device of the hypervisor, which libvirt takes from its driver at the start and gives back at the end.
      def gpu(gpu)
        parts = gpu['address'].match(/\A(\h{4}):(\h{2}):(\h{2})\.([0-7])\z/).captures.map { |part| "0x#{part}" }
        Element.new('hostdev', { 'mode' => 'subsystem', 'type' => 'pci', 'managed' => 'yes' },
                    Element.new('source', {}, Element.new('address', %w[domain bus slot function].zip(parts).to_h)),
                    # libvirt takes letters, digits, - and _ there.
                    Element.new('alias', { 'name' => "#{GPU}#{gpu['address'].tr(':.', '-')}" }))
      end

      # The image of the seed as a CD; nil without one.
      def seed
        return unless @machine['seed']

        Element.new('disk', { 'type' => 'file', 'device' => 'cdrom' },
                    Element.new('driver', { 'name' => 'qemu', 'type' => 'raw' }),
                    Element.new('source', { 'file' => Seed.path(@uuid, @machine['seed']) }),
                    Element.new('target', { 'dev' => DomainXml.drive(0), 'bus' => 'ide' }),
                    Element.new('readonly'), Element.new('alias', { 'name' => SEED }))
      end

      # The packet filter that its interfaces refer to; nil where nothing is filtered.
      def filter
        rules = @machine['security_rules']
        NetworkFilter.new(@uuid, rules) if rules && @settings['switch'] != 'openvswitch'
      end

      private

      def type
        DomainXml.type(@machine['virt_method'], @settings.fetch('accelerate', true))
      end

      def head
        title = DomainXml.title(@machine['name'])
        [Element.new('name', {}, @machine['domain']), Element.new('uuid', {}, @uuid),
         (Element.new('title', {}, title) if title),
         DomainMetadata.build(@machine['restarts'], restores),
         # libvirt counts in KiB; what is more than whole ones is rounded up.
         Element.new('memory', { 'unit' => 'KiB' }, ((@machine['ram_bytes'] + 1023) / 1024).to_s)]
      end

      # A domain that is new takes them as done.
      def restores
        @machine['volumes'].select { |volume| volume['restore'] }.map { |volume| [volume['uuid'], volume['restore']['number']] }.to_h
      end

      def processors
        [Element.new('vcpu', {}, @machine['cores'].to_s), cputune]
      end

      def cputune
        percent = @machine['cputime_limit']
        return unless percent

        # The quota is for each virtual CPU.
        Element.new('cputune', {}, Element.new('period', {}, PERIOD.to_s),
                    Element.new('quota', {}, (percent * PERIOD / 100).to_s))
      end

      def system
        [Element.new('os', {}, Element.new('type', { 'arch' => 'x86_64', 'machine' => 'pc' }, 'hvm'),
                     Element.new('boot', { 'dev' => 'hd' })),
         Element.new('features', {}, Element.new('acpi'), Element.new('apic')),
         (Element.new('cpu', { 'mode' => 'host-model' }) if type == 'kvm'),
         Element.new('clock', { 'offset' => 'utc' })]
      end

      def devices
        disks = @machine['volumes'].each_with_index.map { |volume, index| disk(volume, DomainXml.target(index)) }
        interfaces = @machine['interfaces'].map { |interface| interface(interface) }
        gpus = (@machine['gpus'] || []).map { |gpu| gpu(gpu) }
        Element.new('devices', {}, disks, seed, interfaces, gpus, Element.new('serial', { 'type' => 'pty' }),
                    Element.new('channel', { 'type' => 'unix' },
                                Element.new('target', { 'type' => 'virtio', 'name' => 'org.qemu.guest_agent.0' })),
                    Element.new('rng', { 'model' => 'virtio' },
                                Element.new('backend', { 'model' => 'random' }, '/dev/urandom')))
      end

      def source_type(volume)
        { 'lvm' => 'block', 'rbd' => 'network' }.fetch(volume['type'], 'file')
      end

      def driver(volume)
        format = %w[lvm rbd].include?(volume['type']) ? 'raw' : volume['type']
        attributes = { 'name' => 'qemu', 'type' => format }
        attributes['cache'] = volume['cache'] unless volume['cache'] == 'default'
        Element.new('driver', attributes)
      end

      # libvirt's secret has the cluster's fsid as its UUID, so that it follows from the document.
      def authentication(volume)
        return unless volume['type'] == 'rbd'

        secret = Element.new('secret', { 'type' => 'ceph', 'uuid' => cluster(volume)['fsid'] })
        Element.new('auth', { 'username' => @settings['rbd_user'] }, secret)
      end

      def source(volume)
        case volume['type']
        when 'lvm' then Element.new('source', { 'dev' => "/dev/#{volume['vg']}/#{volume['lv']}" })
        when 'rbd'
          hosts = cluster(volume)['mons'].map do |mon|
            Element.new('host', { 'name' => mon['address'], 'port' => mon['port'].to_s })
          end
          Element.new('source', { 'protocol' => 'rbd', 'name' => "#{volume['pool']}/#{volume['image']}" }, hosts)
        else Element.new('source', { 'file' => volume['path'] })
        end
      end

      def iotune(volume)
        limits = IOTUNE.map do |field, name|
          Element.new(name, {}, [volume[field], MOST].min.to_s) if volume[field]
        end.compact
        Element.new('iotune', {}, limits) unless limits.empty?
      end

      def cluster(volume)
        @settings['clusters'].fetch(volume['cluster'])
      end
    end
  end
end
