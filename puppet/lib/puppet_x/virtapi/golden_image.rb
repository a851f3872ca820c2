# A golden image, from which a volume is made: that it is one that the volume can be made from, and what is made of it. It is only
# read, and whose the volume is it does not know.
require 'digest'
require 'puppet'
require_relative 'qcow2'

module PuppetX
  module Virtapi
    # For the volume at one place.
    class GoldenImage
      # What an ext2, ext3 or ext4 has where, when nothing is before it.
      EXT = "\x53\xEF".b.freeze
      EXT_PLACE = 1080

      # @param place [String] where the volume is
      # @param backing [Hash] the image as the document has it
      def initialize(place, backing)
        @path = backing['path']
        @format = backing['format']
        @checksum = backing['checksum']
        @here = "#{place}: the golden image #{@path}"
      end

      # Raises where no volume of so many bytes is made from it.
      def check(bytes)
        raise Puppet::Error, "#{@here} is not here" unless File.exist?(@path)

        least = size
        raise Puppet::Error, "#{@here} is no qcow2" unless least
        raise Puppet::Error, "#{@here} has #{least} bytes, the volume only #{bytes}" if least > bytes
      end

      # All of it is read for that.
      def check_contents
        return unless @checksum

        kind, expected = @checksum.split(':', 2)
        found = { 'sha256' => Digest::SHA256, 'sha512' => Digest::SHA512 }.fetch(kind).file(@path).hexdigest
        raise Puppet::Error, "#{@here} is another one: its checksum is #{kind}:#{found}" unless found == expected
      end

      # For `qemu-img create`: what stays below the volume.
      def words
        ['-b', @path, '-F', @format]
      end

      # Into a raw file that is as large as the volume and empty.
      def copy(file)
        execute('qemu-img', 'convert', '-q', '-n', '--target-is-zero', '-f', @format, '-O', 'raw', @path, file)
        fill(file) if File.binread(file, EXT.length, EXT_PLACE) == EXT
        File.open(file, &:fsync)
      end

      private

      def size
        return File.size(@path) unless @format == 'qcow2'

        header = Qcow2.read(@path)
        header && header.size
      end

      # Who has it for a root, and not for a disk, could not make its file system larger.
      def fill(file)
        # 1: something was put right.
        checked = Puppet::Util::Execution.execute(['e2fsck', '-f', '-p', file], failonfail: false, combine: true)
        raise Puppet::Error, "#{@here} has a file system that is damaged: #{checked.split.join(' ')}" if checked.exitstatus > 1

        execute('resize2fs', file)
      end

      def execute(*words)
        Puppet::Util::Execution.execute(words, failonfail: true, combine: true)
      end
    end
  end
end
