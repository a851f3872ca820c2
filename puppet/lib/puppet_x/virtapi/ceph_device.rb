# What is on a device that an OSD is to have.
require 'json'
require_relative 'ceph'

module PuppetX
  module Virtapi
    # One block device.
    module CephDevice
      # What `blkid` ends with where it finds nothing.
      NOTHING = 2

      # `uuid` of the OSD that it has, or `other`, what else; empty when it is blank.
      def self.contents(path)
        return { 'other' => "#{path} is no block device of this node" } unless File.exist?(path) && File.blockdev?(path)

        said, status = Open3.capture2e(Ceph::ENVIRONMENT, 'blkid', '-p', '-o', 'export', path)
        uuid = label(path)
        return { 'uuid' => uuid } if uuid
        return { 'other' => 'it is in use' } if in_use?(path)
        return {} if status.exitstatus == NOTHING

        { 'other' => said[/^(?:PT)?TYPE=(.*)/, 1] || "blkid: #{said.strip}" }
      end

      # The UUID of the OSD whose it is by its label; nil when it has none.
      def self.label(path)
        JSON.parse(Ceph.execute(['ceph-bluestore-tool', 'show-label', '--dev', path])).values.first['osd_uuid']
      rescue Ceph::Failed
        nil
      end

      # The kernel gives a device that is mounted, or part of another one, to nobody else.
      def self.in_use?(path)
        File.open(path, File::RDONLY | File::EXCL, &:fileno)
        false
      rescue Errno::EBUSY
        true
      end
      private_class_method :label, :in_use?
    end
  end
end
