# The OSDs of a cluster: those that its map has, and those that have a directory on this node.
require_relative 'ceph'

module PuppetX
  module Virtapi
    # What is known of all OSDs of one cluster, in two questions whatever their number.
    class CephOsds
      # A directory here: the number and the UUID of the OSD, and the cluster's fsid.
      Here = Struct.new(:cluster, :id, :uuid, :path, :fsid)

      # Those that are whole: what was begun and not ended has no file `ready`.
      def self.here
        Ceph.data('osd').map do |cluster, id, path|
          uuid, fsid = %w[fsid ceph_fsid].map { |name| read("#{path}/#{name}") }
          Here.new(cluster, id, uuid, path, fsid) if uuid && read("#{path}/ready") && id =~ /\A\d+\z/
        end.compact
      end

      def self.read(path)
        File.read(path).strip
      rescue SystemCallError
        nil
      end
      private_class_method :read

      attr_reader :fsid

      def initialize(cluster)
        connection = Ceph.new(cluster)
        dump, tree = [%w[osd dump], %w[osd tree]].map { |words| connection.json(*words) } if Ceph.known?(cluster)
        dump ||= { 'osds' => [] }
        @fsid = dump['fsid']
        @known = dump['osds'].map { |osd| [osd['uuid'], osd] }.to_h
        @classes = tree ? tree['nodes'].map { |node| [node['id'], node['device_class']] }.to_h : {}
        @here = self.class.here.select { |osd| osd.cluster == cluster }.map { |osd| [osd.uuid, osd] }.to_h
      end

      # What the map has of it; nil when it does not have it.
      def known(uuid)
        @known[uuid]
      end

      # Its directory here; nil when there is none.
      def here(uuid)
        @here[uuid]
      end

      def device_class(uuid)
        osd = known(uuid)
        osd && @classes[osd['osd']]
      end
    end
  end
end
