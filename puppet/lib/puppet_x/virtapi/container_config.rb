# What LXC is to be told of a VM: the document's entry in, the text of its configuration out. docs/convergence.md has the rules, and
# tests/golden/containers the examples, which every tool that converges a hypervisor must meet.
#
# It knows nothing of what there is already, and starts nothing.
require 'digest'
require_relative 'domain_xml'
require_relative 'seed'

module PuppetX
  module Virtapi
    # Builds the configuration of one container.
    class ContainerConfig
      # What each core is worth in a period, in microseconds.
      PERIOD = DomainXml::PERIOD
      # Memory is counted in these.
      PAGE = 4096
      METHOD = 'LXC'.freeze
      # What a root can be on.
      TYPES = %w[raw lvm].freeze
      INCLUDED = '/usr/share/lxc/config/'.freeze
      # Where cloud-init looks for a seed that is no disk.
      SEED = 'var/lib/cloud/seed/nocloud'.freeze
      HEAD = '# Made by virtapi: what is changed here is undone.'.freeze
      # Of a line that virtapi reads, and LXC does not.
      MARK = '# virtapi.'.freeze

      # What the document has, and LXC cannot: none of it is left out in silence.
      def self.refusals(machine)
        volumes = machine['volumes']
        root = volumes.first
        refusals = []
        refusals << 'no volume for its root' if root.nil?
        refusals << "a root of type #{root['type']}" if root && !TYPES.include?(root['type'])
        refusals << 'more volumes than its root' if volumes.length > 1
        refusals.concat(DomainXml::IOTUNE.keys.sort.select { |limit| volumes.any? { |volume| volume[limit] } }.map { |limit| "#{limit} of a volume" })
        refusals << 'restore of a volume' if volumes.any? { |volume| volume['restore'] }
        refusals << 'devices that are passed through' unless Array(machine['gpus']).empty?
        refusals << 'a packet filter' if machine['security_rules']
        refusals
      end

      # What is mounted as its root.
      def self.source(volume)
        volume['type'] == 'lvm' ? "/dev/#{volume['vg']}/#{volume['lv']}" : volume['path']
      end

      # What virtapi itself has written into a configuration: `uuid`, `restarts`, `source`.
      def self.metadata(text)
        text.scan(/^#{Regexp.escape(MARK)}(\w+) = (.*)$/).to_h
      end

      # The values of what is set, the last one of each.
      def self.values(text)
        text.scan(/^(lxc\.[\w.-]+) *= *(.*)$/).to_h
      end

      # What a start has left of what it was with: numbers and digests by name.
      def self.started(line)
        line.to_s.scan(/(\w+)=(\h+)/).to_h
      end

      # By which a start tells what it was with.
      def self.digest(lines)
        Digest::SHA256.hexdigest(lines.join("\n"))[0, 16]
      end

      # @param uuid [String]
      # @param machine [Hash] the VM as the document has it, of which nothing is refused
      # @param settings [Hash] `lxc_path`; `container_ids`, the first of the host's ids that it has and how many, or `none`;
      #   `container_apparmor`
      def initialize(uuid, machine, settings)
        @uuid = uuid
        @machine = machine
        @settings = settings
      end

      # @param autostart [Boolean] whether it starts with the hypervisor, where its state does not say
      def build(autostart: false)
        lines = [HEAD, *metadata, *system(autostart), *root, *mounted, *network, *limits.map { |key, value| "lxc.#{key} = #{value}" }]
        "#{lines.join("\n")}\n"
      end

      # Those that change while it runs, by their names in the groups of the kernel; of both generations of those groups.
      def limits
        { 'cgroup.cpu.cfs_period_us' => PERIOD.to_s, 'cgroup.cpu.cfs_quota_us' => quota.to_s,
          'cgroup.memory.limit_in_bytes' => memory.to_s, 'cgroup2.cpu.max' => "#{quota} #{PERIOD}", 'cgroup2.memory.max' => memory.to_s }
      end

      # Microseconds of CPU in a period.
      def quota
        @machine['cores'] * PERIOD * (@machine['cputime_limit'] || 100) / 100
      end

      def memory
        (@machine['ram_bytes'] + PAGE - 1) / PAGE * PAGE
      end

      # By what one that runs is compared with what it should be: each needs another start.
      def fixed
        { 'interfaces' => digest(network), 'root' => digest([source]), 'settings' => digest(confinement),
          'seed' => seed && digest([seed]) }.compact
      end

      # The directory of its seed; nil without one.
      def seed
        @machine['seed'] && Seed.directory(@uuid, @machine['seed'], group)
      end

      # That of the hypervisor's which its root is in.
      def group
        own_ids? ? @settings['container_ids'].first : 0
      end

      def directory
        "#{@settings['lxc_path']}/#{@machine['domain']}"
      end

      private

      def digest(lines)
        self.class.digest(lines)
      end

      def source
        self.class.source(@machine['volumes'].first)
      end

      def metadata
        { 'uuid' => @uuid, 'restarts' => @machine['restarts'], 'source' => source }.compact
                                                                                   .map { |key, value| "#{MARK}#{key} = #{value}" }
      end

      def system(autostart)
        starts = case @machine['state']
                 when 'running' then true
                 when 'stopped', 'deactivated' then false
                 else autostart
                 end
        [*confinement, "lxc.uts.name = #{@machine['domain']}", "lxc.start.auto = #{starts ? 1 : 0}"]
      end

      def confinement
        ids = %w[u g].map { |kind| "lxc.idmap = #{kind} 0 #{@settings['container_ids'].join(' ')}" } if own_ids?
        ["lxc.include = #{INCLUDED}common.conf", *("lxc.include = #{INCLUDED}userns.conf" if ids),
         "lxc.apparmor.profile = #{@settings['container_apparmor']}", *ids]
      end

      def own_ids?
        @settings['container_ids'] != 'none'
      end

      # LXC gives only a directory the ids of a container, so its root is mounted into one before it starts. Devices that are
      # in there are none: the file system is the host's, and whoever made it may have put any there.
      def root
        mount = "#{directory}/rootfs"
        options = @machine['volumes'].first['type'] == 'lvm' ? 'nodev' : 'nodev,loop'
        started = { 'restarts' => @machine['restarts'], **fixed }.compact.map { |name, value| "#{name}=#{value}" }.join(' ')
        ["lxc.rootfs.path = dir:#{mount}", *('lxc.rootfs.options = idmap=container' if own_ids?),
         # A shell gets it after the word exec, hence the redirection; the words that LXC adds behind are a comment.
         "lxc.hook.pre-start = </dev/null; echo #{started} >#{quoted("#{directory}/started")} && " \
           "{ ! mountpoint -q #{quoted(mount)} || umount #{quoted(mount)}; } && mount -o #{options} #{quoted(source)} #{quoted(mount)} #",
         "lxc.hook.post-stop = umount #{quoted(mount)} #"]
      end

      def mounted
        seed ? ["lxc.mount.entry = #{seed} #{SEED} none bind,ro,create=dir 0 0"] : []
      end

      def quoted(word)
        "'#{word.gsub("'", %q('\\\\''))}'"
      end

      def network
        # With none at all it would be in the hypervisor's own.
        return ['lxc.net.0.type = empty'] if @machine['interfaces'].empty?

        @machine['interfaces'].each_with_index.flat_map do |interface, index|
          { 'type' => 'veth', 'flags' => 'up', 'link' => interface['bridge'], 'veth.pair' => DomainXml.tap(interface['bridge']),
            'hwaddr' => interface['mac'], 'mtu' => interface['mtu'] }.compact.map { |key, value| "lxc.net.#{index}.#{key} = #{value}" }
        end
      end
    end
  end
end
