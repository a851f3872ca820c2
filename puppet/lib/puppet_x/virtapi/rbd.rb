# Images in a pool of Ceph, by Ceph's own program, rbd.
require 'json'
require 'puppet'

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

      def remove
        Puppet::Util::Execution.execute(['rbd', *@connection, 'rm', '--no-progress', @place], failonfail: true, combine: true)
      end

      private

      def watchers
        text = Puppet::Util::Execution.execute(['rbd', *@connection, 'status', '--format', 'json', @place],
                                               failonfail: true, combine: false)
        JSON.parse(text)['watchers'].map { |watcher| watcher['address'] }
      end
    end
  end
end
