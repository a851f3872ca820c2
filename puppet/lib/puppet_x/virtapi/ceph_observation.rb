# What is really there of the clusters of Ceph that a storage node serves, at the end of a run. It only looks.
require_relative 'ceph'
require_relative 'ceph_osds'

module PuppetX
  module Virtapi
    # Looks at the clusters of the catalog's monitors and OSDs.
    class CephObservation
      # Those that Ceph makes for itself.
      OWN_POOLS = %w[.mgr device_health_metrics].freeze

      # @param resources [Array] the catalog's
      def initialize(resources)
        @resources = resources.group_by(&:type)
      end

      # Whether this node serves a cluster at all.
      def any?
        !clusters.empty?
      end

      # What could not be looked at is left out, and the reason given to the block.
      def look
        seen = { 'mons' => {}, 'osds' => {}, 'unmanaged' => { 'osds' => [], 'pools' => [] } }
        clusters.each do |cluster|
          begin
            add(seen, cluster)
          rescue StandardError => error
            yield error
          end
        end
        # Of no cluster is something known.
        seen['mons'].empty? ? {} : seen
      end

      private

      def of(type)
        @resources.fetch(type, [])
      end

      def clusters
        @clusters ||= (of(:virtapi_ceph_mon).map(&:cluster) + of(:virtapi_ceph_osd).map { |osd| osd[:cluster] }).uniq.sort
      end

      def add(seen, cluster)
        connection = Ceph.new(cluster)
        mons = connection.json('quorum_status')['quorum_names'].sort
        dump = connection.json('osd', 'dump')
        here = CephOsds.here.select { |osd| osd.cluster == cluster }.map(&:uuid)
        local = dump['osds'].select { |osd| here.include?(osd['uuid']) }.sort_by { |osd| osd['osd'] }
        managed = of(:virtapi_ceph_osd).map { |osd| osd[:uuid] }
        known, others = local.partition { |osd| managed.include?(osd['uuid']) }
        seen['mons'][cluster] = mons
        seen['osds'][cluster] = known.map { |osd| [osd['osd'].to_s, { 'up' => osd['up'] == 1, 'in' => osd['in'] == 1 }] }.to_h
        seen['unmanaged']['osds'].concat(others.map { |osd| "#{cluster}/#{osd['osd']}" })
        seen['unmanaged']['pools'].concat(pools(cluster, dump)) if of(:virtapi_ceph_mon).any? { |mon| mon.cluster == cluster }
      end

      # The monitors see to pools, and so to what pools there are besides.
      def pools(cluster, dump)
        managed = of(:virtapi_ceph_pool).map { |pool| pool[:name] }
        names = dump['pools'].map { |pool| pool['pool_name'] } - OWN_POOLS
        (names.map { |name| "#{cluster}/#{name}" } - managed).sort
      end
    end
  end
end
