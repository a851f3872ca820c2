# LXC by its own programs: everything that there is in one call, whatever the number of containers, and in none where there are none.
# What a container has of the machine is read in the groups of the kernel.
require 'fileutils'
require 'puppet'
require_relative 'container_config'

module PuppetX
  module Virtapi
    # Questions and commands to the LXC of this machine, below one directory.
    class Lxc
      # Where LXC has them unless it is told otherwise.
      PATH = '/var/lib/lxc'.freeze
      GROUPS = '/sys/fs/cgroup'.freeze
      STATES = { 'RUNNING' => 'running', 'STARTING' => 'running', 'STOPPING' => 'running', 'FROZEN' => 'paused', 'FREEZING' => 'paused' }.freeze

      # One container; `text` is its configuration, `line` what its last start has left.
      Container = Struct.new(:name, :text, :line, :state, :pid) do
        def metadata
          @metadata ||= ContainerConfig.metadata(text)
        end

        # nil for one that is not ours.
        def uuid
          metadata['uuid']
        end

        def started
          ContainerConfig.started(line)
        end

        # The directory of the seed that it is defined with; nil without one.
        def seed
          text[/^lxc\.mount\.entry *= *(\S+) #{Regexp.escape(ContainerConfig::SEED)} /, 1]
        end

        # Whether it runs, and was started with this directory for a seed.
        def started_with?(directory)
          running? && started['seed'] == ContainerConfig.digest([directory])
        end

        def running?
          state != 'stopped'
        end

        # Whether it starts with the hypervisor.
        def autostart?
          ContainerConfig.values(text)['lxc.start.auto'] == '1'
        end

        # What it has as its root, whoever made it.
        def source
          metadata['source'] || ContainerConfig.values(text)['lxc.rootfs.path'].to_s.sub(/\A(loop|lvm|dir):/, '')
        end
      end

      def self.installed?
        !Puppet::Util.which('lxc-start').nil?
      end

      def initialize(path)
        @path = path
      end

      # All that are there, whoever made them.
      def containers
        return [] if texts.empty?

        states = states()
        texts.map do |name, text|
          state, pid = states[name]
          Container.new(name, text, read(started(name)), STATES.fetch(state, 'stopped'), pid)
        end
      end

      # Of those that are ours; LXC need not be there for that.
      def uuids
        texts.map { |_, text| ContainerConfig.metadata(text)['uuid'] }.compact
      end

      # In the place of what is there, whole or not at all. Nobody but root passes through to the root's files, where one may
      # have any that act for another.
      def define(name, text)
        FileUtils.mkdir_p(@path, mode: 0o711)
        FileUtils.mkdir_p("#{directory(name)}/rootfs")
        File.chmod(0o700, directory(name))
        Puppet::Util.replace_file("#{directory(name)}/config", 0o600) { |file| file.write(text) }
      end

      # It does not start with the hypervisor any more.
      def leave_off(container)
        define(container.name, container.text.gsub(/^lxc\.start\.auto *=.*$/, 'lxc.start.auto = 0'))
      end

      # Its root stays: that is a volume.
      def undefine(name)
        place = directory(name)
        root = "#{place}/rootfs"
        if File.directory?(root)
          let_go_of(root) if mounted?(root)
          # Before all that says whose it is: what is mounted yet stays.
          Dir.rmdir(root)
        end
        FileUtils.rm_r(place)
      end

      # Who ended its monitor has left the root there; and one that ends by itself may let go of it in this moment.
      def let_go_of(root)
        Puppet::Util::Execution.execute(['umount', root], failonfail: true)
      rescue Puppet::ExecutionFailure
        raise if mounted?(root)
      end

      def mounted?(place)
        File.stat(place).dev != File.stat(File.dirname(place)).dev
      end

      def start(name)
        log = "#{directory(name)}/start.log"
        FileUtils.rm_f(log)
        run('lxc-start', name, '-d', '-l', 'DEBUG', '-o', log)
      rescue Puppet::ExecutionFailure => error
        raise Puppet::Error, "#{name} has not started: #{told(log) || error.message}"
      end

      # One that is frozen would not hear of it.
      def ask(name, state)
        resume(name) if state == 'paused'
        run('lxc-stop', name, '--nokill', '--nowait')
      end

      # Those that still run when the time is over.
      def wait(names, seconds)
        deadline = now + seconds
        left = names
        until (left &= active).empty? || now > deadline
          sleep 0.5
        end
        left
      end

      def kill(name)
        run('lxc-stop', name, '--kill')
      end

      def resume(name)
        run('lxc-unfreeze', name)
      end

      # The number of restarts that one that runs has from now on.
      def note(name, line, restarts)
        File.write(started(name), "restarts=#{restarts} #{line.sub(/restarts=\d+ ?/, '').strip}\n")
      end

      # What one that runs has of the machine, by the names of the kernel's groups.
      def limits(pid)
        groups = File.readlines("/proc/#{pid}/cgroup").map { |line| line.chomp.split(':', 3) }
        if unified?
          path = payload(groups.find { |_, kinds, _| kinds.empty? })
          %w[cpu.max memory.max].map { |key| ["cgroup2.#{key}", read("#{GROUPS}#{path}/#{key}").strip] }.to_h
        else
          %w[cpu.cfs_period_us cpu.cfs_quota_us memory.limit_in_bytes].map do |key|
            kind = key[/\A\w+/]
            path = payload(groups.find { |_, kinds, _| kinds.split(',').include?(kind) })
            ["cgroup.#{key}", read("#{GROUPS}/#{kind}#{path}/#{key}").strip]
          end.to_h
        end
      rescue Errno::ENOENT, Errno::ESRCH
        # It has ended meanwhile.
        {}
      end

      def limit(name, key, value)
        run('lxc-cgroup', name, key.sub(/\Acgroup2?\./, ''), value)
      end

      # The keys that count here.
      def of_here(limits)
        limits.select { |key, _| key.start_with?(unified? ? 'cgroup2.' : 'cgroup.') }
      end

      private

      def texts
        Dir.glob("#{@path}/*/config").sort.map { |file| [File.basename(File.dirname(file)), read(file)] }
      end

      def unified?
        File.exist?("#{GROUPS}/cgroup.controllers")
      end

      # The group of the container as a whole: who is in there makes groups below.
      def payload(group)
        group.to_a.last.to_s[%r{\A.*?/lxc\.payload[^/]*}] || group.to_a.last
      end

      def states
        run('lxc-ls', nil, '-f', '-F', 'NAME,STATE,PID').lines.drop(1).map(&:split).map { |name, state, pid| [name, [state, pid]] }.to_h
      end

      def active
        states.select { |_, (state, _)| STATES.key?(state) }.keys
      end

      def run(program, name, *words)
        raise Puppet::Error, "LXC is not installed here (#{program})" unless Puppet::Util.which(program)

        named = name ? ['-n', name] : []
        # What lxc-ls warns of is none of its list.
        Puppet::Util::Execution.execute([program, '-P', @path, *named, *words], failonfail: true, combine: !name.nil?)
      end

      # What LXC has written of an error, with what the commands before it have said.
      def told(log)
        lines = read(log).lines.grep(/ ERROR |produced output/)
        return if lines.empty?

        lines.map { |line| line[/ - (?!\.\.)(.*)/, 1] || line }.map { |line| line.sub(/\A.*:\d+ - /, '').strip }.uniq.join('; ')
      end

      def directory(name)
        "#{@path}/#{name}"
      end

      def started(name)
        "#{directory(name)}/started"
      end

      def read(path)
        File.read(path, encoding: 'UTF-8').scrub
      rescue Errno::ENOENT
        ''
      end

      def now
        Process.clock_gettime(Process::CLOCK_MONOTONIC)
      end
    end
  end
end
