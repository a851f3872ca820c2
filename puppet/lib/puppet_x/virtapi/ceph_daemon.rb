# How the daemons of Ceph are started and stopped: as units of systemd, or directly, with files of process ids, where there
# is no systemd.
require 'puppet'
require_relative 'ceph'

module PuppetX
  module Virtapi
    # One daemon: `kind` is mon, mgr or osd.
    class CephDaemon
      # Seconds for a daemon to end, for a monitor to come into quorum, and for an OSD to come up.
      END_LIMIT = 60
      QUORUM = 30
      UP = 60

      # What there is on this node.
      def self.init
        Dir.exist?('/run/systemd/system') ? :systemd : :direct
      end

      def self.of(init, cluster, kind, id)
        (init.to_s == 'direct' ? DirectDaemon : SystemdDaemon).new(cluster, kind, id)
      end

      # Whether the condition comes true in these seconds.
      def self.within?(seconds)
        deadline = Process.clock_gettime(Process::CLOCK_MONOTONIC) + seconds
        until yield
          return false if Process.clock_gettime(Process::CLOCK_MONOTONIC) > deadline

          sleep 0.5
        end
        true
      end

      def initialize(cluster, kind, id)
        @cluster = cluster
        @kind = kind
        @id = id
      end

      def data
        "/var/lib/ceph/#{@kind}/#{@cluster}-#{@id}"
      end

      def to_s
        "#{@kind}.#{@id} of #{@cluster}"
      end

      # Its directory, which is its own.
      def make_data
        [File.dirname(data), data].each do |path|
          FileUtils.mkdir_p(path)
          FileUtils.chown(Ceph::OWNER, Ceph::OWNER, path)
        end
      end

      private

      def execute(*words)
        Puppet::Util::Execution.execute(words, failonfail: true, combine: true)
      end
    end

    # A daemon with a file that has its process id.
    class DirectDaemon < CephDaemon
      RUN = '/run/ceph'.freeze

      def running?
        !pid.nil?
      end

      def start
        FileUtils.mkdir_p(RUN)
        FileUtils.chown(Ceph::OWNER, Ceph::OWNER, RUN)
        execute("ceph-#{@kind}", '--cluster', @cluster, '--id', @id, '--setuser', Ceph::OWNER, '--setgroup', Ceph::OWNER,
                '--pid-file', path)
      end

      def stop
        running = pid
        return unless running

        Process.kill('TERM', running)
        raise Puppet::Error, "#{self} does not end" unless CephDaemon.within?(END_LIMIT) { pid.nil? }
      rescue Errno::ESRCH
        nil
      end

      private

      def path
        "#{RUN}/#{@cluster}-#{@kind}.#{@id}.pid"
      end

      # nil when it does not run: the number may be another's by now.
      def pid
        found = Integer(File.read(path).strip)
        program = File.read("/proc/#{found}/cmdline").split("\0").first.to_s
        found if File.basename(program) == "ceph-#{@kind}"
      rescue SystemCallError, ArgumentError
        nil
      end
    end

    # A unit of systemd, as Ceph's packages have them: all those of a node are of one cluster.
    class SystemdDaemon < CephDaemon
      DEFAULTS = '/etc/default/ceph'.freeze

      def running?
        system_says?('is-active')
      end

      def start
        refuse_other_cluster
        execute('systemctl', 'enable', unit)
        # One that has failed too often is not started again.
        execute('systemctl', 'reset-failed', unit) if system_says?('is-failed')
        execute('systemctl', 'start', unit)
      end

      def stop
        execute('systemctl', 'disable', '--now', unit)
      end

      private

      def unit
        "ceph-#{@kind}@#{@id}.service"
      end

      def system_says?(question)
        Puppet::Util::Execution.execute(['systemctl', question, '--quiet', unit], failonfail: false).exitstatus.zero?
      end

      def refuse_other_cluster
        text = File.exist?(DEFAULTS) ? File.read(DEFAULTS) : ''
        unit_cluster = text[/^CLUSTER=["']?([^"'\s]+)/, 1] || 'ceph'
        return if unit_cluster == @cluster

        raise Puppet::Error, "the units of systemd are for cluster #{unit_cluster}, and not #{@cluster} (CLUSTER in #{DEFAULTS})"
      end
    end
  end
end
