# The NoCloud seed of a VM, from which cloud-init in its guest has keys, user data and network: what its image is called, or the
# directory that a container has. docs/convergence.md has the rules. It looks at no disk: that is SeedImages'.
require 'digest'

module PuppetX
  module Virtapi
    # From the files of a seed, as the document has them.
    module Seed
      # Where QEMU comes to, whoever it runs as, also on a hypervisor without a directory for volumes.
      DIRECTORY = '/var/lib/libvirt/virtapi-seeds'.freeze
      # Without one of these a seed is none for cloud-init.
      NEEDED = { 'meta-data' => '', 'user-data' => '' }.freeze

      # The texts by name, in their order.
      def self.files(seed)
        NEEDED.merge(seed).sort.to_h
      end

      # Another one for other contents: the image's name has it.
      def self.digest(seed)
        parts = files(seed).flat_map { |name, text| [name, text.bytesize.to_s, text] }
        Digest::SHA256.hexdigest(parts.map(&:b).join("\n"))[0, 32]
      end

      def self.path(uuid, seed)
        "#{DIRECTORY}/#{uuid}-#{digest(seed)}.iso"
      end

      # What a container has of it, whose root is in this group of the hypervisor.
      def self.directory(uuid, seed, group)
        "#{DIRECTORY}/#{uuid}-#{digest(seed)}-#{group}"
      end

      # The digest of an image or a directory by its path, or the path where it is none of ours.
      def self.digest_of(path)
        path[/-(\h{32})(?:\.iso|-\d+)\z/, 1] || path
      end
    end
  end
end
