# Images in a pool of Ceph, by Ceph's own program, rbd.
require 'json'
require 'puppet'
require_relative 'snapshot_plan'

module PuppetX
  module Virtapi
    # One image.
    class Rbd
      # Seconds after which Ceph gives up a client that has died, and some more.
      EXPIRY = 40

      # What `rbd` ends with where something is not there.
      NO_ENTRY = Errno::ENOENT::Errno

      # Otherwise it waits five minutes for a monitor, and for ever for an OSD.
      PATIENCE = %w[--client_mount_timeout=15 --rados_mon_op_timeout=15 --rados_osd_op_timeout=60].freeze

      # Without them Ceph looks elsewhere for monitors: in settings that are there, and in DNS.
      def self.refuse_without(mons, cluster)
        raise Puppet::Error, "the document has no monitors of cluster #{cluster}" if mons.empty?
      end

      # Words for `rbd` that say which cluster, who, and where.
      def self.connection(cluster, user, mons)
        refuse_without(mons, cluster)
        addresses = mons.map do |mon|
          address = mon['address']
          "#{address.include?(':') ? "[#{address}]" : address}:#{mon['port']}"
        end
        ['--cluster', cluster, '--id', user, '-m', addresses.join(','), *PATIENCE]
      end

      # All images of a pool as `pool/image`; none where there is no such pool.
      def self.places(pool, connection)
        words = ['rbd', *connection, 'ls', '--format', 'json', pool]
        text = Puppet::Util::Execution.execute(words, failonfail: false, combine: false)
        return JSON.parse(text).map { |image| "#{pool}/#{image}" } if text.exitstatus.zero?

        said = Puppet::Util::Execution.execute(words, failonfail: false, combine: true)
        return [] if said.exitstatus == NO_ENTRY && said.include?('error opening pool')

        raise Puppet::Error, "pool #{pool}: #{said.strip}"
      end

      # The names of the snapshots of each image of a pool, by `pool/image`.
      def self.pool_snapshots(pool, connection)
        text = Puppet::Util::Execution.execute(['rbd', *connection, 'ls', '--long', '--format', 'json', pool], failonfail: true, combine: false)
        JSON.parse(text).each_with_object({}) do |row, found|
          names = (found["#{pool}/#{row['image']}"] ||= [])
          names << row['snapshot'] if row.key?('snapshot')
        end
      end

      # Those of a virtapi_domain.
      def self.images(domain)
        domain.machine['volumes'].select { |volume| volume['type'] == 'rbd' }.map do |volume|
          mons = domain[:clusters].fetch(volume['cluster'])['mons']
          new("#{volume['pool']}/#{volume['image']}", connection(volume['cluster'], domain[:rbd_user], mons))
        end
      end

      def initialize(place, connection)
        @place = place
        @connection = connection
      end

      # A machine that moves here may still run where it was, for nobody stops it there; two that write to one image
      # destroy it. A machine that has just died is still seen for a while.
      def wait_until_unused
        deadline = Process.clock_gettime(Process::CLOCK_MONOTONIC) + EXPIRY
        until (users = watchers).empty?
          if Process.clock_gettime(Process::CLOCK_MONOTONIC) > deadline
            raise Puppet::Error, "image #{@place} is in use by #{users.join(', ')}: the machine may run elsewhere, and is not started"
          end

          sleep 1
        end
      end

      # Ceph refuses one that has snapshots; those that are all of virtapi go with it.
      def remove
        execute('rm', '--no-progress', @place)
      rescue Puppet::ExecutionFailure
        names = removable_snapshots
        raise if names.empty?

        names.each { |name| snapshot('rm', name) }
        execute('rm', '--no-progress', @place)
      end

      # `name` and `protected` of each.
      def snapshots
        JSON.parse(ask('snap', 'ls', '--format', 'json', @place))
      end

      def size
        JSON.parse(ask('info', '--format', 'json', @place))['size']
      end

      def resize(bytes)
        execute('resize', '--no-progress', '--size', "#{bytes}B", @place)
      end

      # @param action [String] create, rm or rollback
      def snapshot(action, name)
        execute('snap', action, '--no-progress', "#{@place}@#{name}")
      end

      private

      # None where one is of others, or protected, or the image is in use: then it stays as it is.
      def removable_snapshots
        found = snapshots
        return [] if found.empty?

        ours = found.all? { |each| each['name'].start_with?(SnapshotPlan::PREFIX) && each['protected'].to_s != 'true' }
        ours && watchers.empty? ? found.map { |each| each['name'] } : []
      end

      def watchers
        JSON.parse(ask('status', '--format', 'json', @place))['watchers'].map { |watcher| watcher['address'] }
      end

      def ask(*words)
        Puppet::Util::Execution.execute(['rbd', *@connection, *words], failonfail: true, combine: false)
      end

      def execute(*words)
        Puppet::Util::Execution.execute(['rbd', *@connection, *words], failonfail: true, combine: true)
      end
    end
  end
end
