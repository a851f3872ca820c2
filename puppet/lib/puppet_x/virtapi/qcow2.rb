# What the header of a qcow2 file says, without a process for each file, and whether or not QEMU has it open.

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

      def self.name(file, offset, length)
        file.seek(offset)
        file.read(length).to_s.force_encoding(Encoding::UTF_8)
      end
      private_class_method :name

      def initialize(size, backing)
        @size = size
        @backing = backing
      end
    end
  end
end
