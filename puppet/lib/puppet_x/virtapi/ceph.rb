# Ceph's own programs: questions and commands to the monitors of one cluster. Words are arguments of a process, and what is
# secret goes in by a pipe: neither a shell nor a log sees it.
require 'fileutils'
require 'json'
require 'open3'
require 'puppet'
require 'tmpdir'

module PuppetX
  module Virtapi
    # One cluster, asked as its administrator, whose keyring is where Ceph looks for it.
    class Ceph
      # A program has failed.
      class Failed < Puppet::Error; end

      # No monitor has answered: the cluster may not be there, or have no quorum.
      class Away < Failed; end

      ADMIN = 'client.admin'.freeze
      # Whose are the daemons and their files.
      OWNER = 'ceph'.freeze
      # Seconds for a monitor to answer, and for an answer to be whole.
      CONNECT = 10
      LIMIT = 60
      # The exit status of `timeout`.
      TIMED_OUT = 124
      # What the environment could have it take for another cluster's settings.
      ENVIRONMENT = { 'CEPH_CONF' => nil, 'CEPH_ARGS' => nil, 'CEPH_KEYRING' => nil, 'LC_ALL' => 'C.UTF-8' }.freeze

      # `cluster/name`, by which the resources of a cluster are titled.
      module Title
        def cluster
          self[:name].split('/', 2).first
        end

        def short_name
          self[:name].split('/', 2).last
        end
      end

      attr_reader :cluster

      def initialize(cluster)
        @cluster = cluster
      end

      # The names of the clusters that this node has settings of.
      def self.clusters
        Dir.glob('/etc/ceph/*.conf').map { |path| File.basename(path, '.conf') }.sort
      end

      # Whether this node knows yet where a cluster is, and who it is itself there. In a dry run it may not.
      def self.known?(cluster)
        ["/etc/ceph/#{cluster}.conf", "/etc/ceph/#{cluster}.#{ADMIN}.keyring"].all? { |path| File.exist?(path) }
      end

      # Directories of the daemons of a kind: cluster, id and path of each.
      def self.data(kind)
        clusters.flat_map do |cluster|
          Dir.glob("/var/lib/ceph/#{kind}/#{cluster}-*").sort
             .map { |path| [cluster, File.basename(path).delete_prefix("#{cluster}-"), path] }
        end
      end

      def self.execute(words, input = nil)
        Puppet.debug("Executing: '#{words.join(' ')}'")
        output, said, status = Open3.capture3(ENVIRONMENT, *words, stdin_data: input.to_s)
        return output if status.success?

        # What Ceph itself logs to its standard error begins with a time.
        reason = said.lines.map(&:strip).reject { |line| line.empty? || line =~ /\A\d{4}-\d\d-\d\dT/ }.join(' ')
        reason = "no answer within #{LIMIT} s" if status.exitstatus == TIMED_OUT
        away = status.exitstatus == TIMED_OUT || reason.include?('timed out')
        reason = "the cluster does not answer (#{reason})" if away
        raise (away ? Away : Failed), "#{(words - ['timeout', LIMIT.to_s]).first(1).join}: #{reason}"
      end

      # A directory for what a daemon's program reads once, gone afterwards.
      def self.with_directory
        Dir.mktmpdir('virtapi') do |directory|
          FileUtils.chown(OWNER, OWNER, directory)
          yield directory
        end
      end

      def self.write(path, text)
        File.open(path, File::WRONLY | File::CREAT | File::TRUNC, 0o600) do |file|
          file.chmod(0o600)
          file.write(text)
        end
        FileUtils.chown(OWNER, OWNER, path)
      end

      def run(*words, input: nil)
        self.class.execute(['timeout', LIMIT.to_s, 'ceph', '--cluster', @cluster, '--name', ADMIN,
                            '--connect-timeout', CONNECT.to_s, *words], input)
      end

      def json(*words)
        JSON.parse(run('--format', 'json', *words))
      end

      # What a daemon of this node says of itself, without the cluster; nil when it does not run.
      def self.daemon(cluster, name, question)
        JSON.parse(execute(['timeout', LIMIT.to_s, 'ceph', '--cluster', cluster, 'daemon', name, question]))
      rescue Failed
        nil
      end
    end
  end
end
