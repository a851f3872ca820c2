# What the header of a qcow2 file says, and which snapshots are in it, without a process for each file, and whether or not QEMU has
# it open: that writes both as soon as they change.
require 'puppet'

module PuppetX
  module Virtapi
    # The header of a qcow2 file.
    class Qcow2
      MAGIC = "QFI\xFB".b.freeze

      attr_reader :size, :backing

      # nil where the file is no qcow2.
      def self.read(path)
        File.open(path, 'rb') do |file|
          header = file.read(32)
          return unless header && header.length == 32 && header.start_with?(MAGIC)

          _version, offset, length, _bits, size = header[4..].unpack('NQ>NNQ>')
          new(size, offset.zero? ? nil : name(file, offset, length))
        end
      end

      # A file with those that it is made on, one on the other, as far as they are files.
      def self.chain(path, found = [])
        return found if found.include?(path) || !File.file?(path)

        header = read(path)
        backing = header && header.backing
        backing ? chain(File.expand_path(backing, File.dirname(path)), found + [path]) : found + [path]
      end

      # The names of the snapshots in it.
      def self.snapshots(path)
        File.open(path, 'rb') do |file|
          header = part(file, 0, 72)
          raise Puppet::Error, "#{path} is no qcow2" unless header.start_with?(MAGIC)

          count, offset = header.unpack('@60NQ>')
          Array.new(count) do
            name, offset = snapshot(file, offset)
            name
          end
        end
      rescue EOFError
        raise Puppet::Error, "#{path}: its snapshots cannot be read"
      end

      # A name, and where the next one begins: what comes before the name has lengths of its own, and all of it ends at eight bytes.
      def self.snapshot(file, offset)
        id, name, more = part(file, offset, 40).unpack('@12nn@36N')
        start = offset + 40 + more + id
        [part(file, start, name).force_encoding(Encoding::UTF_8), (start + name + 7) / 8 * 8]
      end

      def self.part(file, offset, length)
        file.seek(offset)
        found = file.read(length).to_s
        raise EOFError if found.length < length

        found
      end

      def self.name(file, offset, length)
        file.seek(offset)
        file.read(length).to_s.force_encoding(Encoding::UTF_8)
      end
      private_class_method :name, :snapshot, :part

      def initialize(size, backing)
        @size = size
        @backing = backing
      end
    end
  end
end
