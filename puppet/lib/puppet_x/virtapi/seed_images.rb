# The images of one VM's seeds, or the directories of a container's: which are there, how one is built, and that they go. There may
# be secrets in them: nobody but root, QEMU and the container reads them, and no command is given any of it.
require 'fileutils'
require 'puppet'
require_relative 'seed'

module PuppetX
  module Virtapi
    # By the VM's UUID.
    class SeedImages
      # What cloud-init looks for.
      LABEL = 'cidata'.freeze

      def initialize(uuid)
        @uuid = uuid
        @directory = Seed::DIRECTORY
      end

      # The paths of those that are there.
      def paths
        all.reject { |path| path.end_with?('.unfinished') }
      end

      # Those, and what an interrupted run has left.
      def all
        return [] unless File.directory?(@directory)

        Dir.children(@directory).grep(/\A#{Regexp.escape(@uuid)}(-\h{32}(\.iso|-\d+)|\.unfinished)\z/)
           .sort.map { |name| File.join(@directory, name) }
      end

      # Whole under its name, or not there.
      def build(seed)
        in_the_making { |work| File.rename(image(seed, work), Seed.path(@uuid, seed)) }
      end

      # The same for a container, whose root reads it by this group: that it is the owner's of nothing in there keeps it from
      # writing, whatever becomes of the mount.
      def spread(seed, group)
        in_the_making { |work| File.rename(shared(files(seed, work), group), Seed.directory(@uuid, seed, group)) }
      end

      def delete(paths)
        FileUtils.rm_r(paths)
      end

      private

      def in_the_making
        unless File.directory?(@directory)
          FileUtils.mkdir_p(@directory)
          # QEMU passes through; whose images there are is nobody's to see.
          File.chmod(0o711, @directory)
        end
        work = File.join(@directory, "#{@uuid}.unfinished")
        delete([work]) if File.exist?(work)
        Dir.mkdir(work, 0o700)
        begin
          yield work
        ensure
          delete([work])
        end
      end

      def files(seed, work)
        files = File.join(work, 'files')
        Dir.mkdir(files)
        Seed.files(seed).each { |name, text| File.binwrite(File.join(files, name), text) }
        files
      end

      def shared(files, group)
        Dir.children(files).map { |name| File.join(files, name) }.each do |path|
          File.chown(0, group, path)
          File.chmod(0o640, path)
          File.open(path, &:fsync)
        end
        File.chown(0, group, files)
        File.chmod(0o750, files)
        files
      end

      def image(seed, work)
        files = files(seed, work)
        image = File.join(work, 'image')
        Puppet::Util::Execution.execute(['xorrisofs', '-quiet', '-output', image, '-volid', LABEL, '-joliet', '-rational-rock', files],
                                        failonfail: true, combine: true)
        # libvirt gives it to QEMU's user when that is to open it.
        File.chmod(0o600, image)
        File.open(image, &:fsync)
        image
      end
    end
  end
end
