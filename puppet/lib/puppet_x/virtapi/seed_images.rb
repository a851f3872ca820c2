# The images of one VM's seeds in their directory: which are there, how one is built, and that they go. There may be secrets in
# them: nobody but root and QEMU reads them, and no command is given any of it.
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
        all.select { |path| path.end_with?('.iso') }
      end

      # Those, and what an interrupted run has left.
      def all
        return [] unless File.directory?(@directory)

        Dir.children(@directory).grep(/\A#{Regexp.escape(@uuid)}(-\h{32}\.iso|\.unfinished)\z/)
           .sort.map { |name| File.join(@directory, name) }
      end

      # Whole under its name, or not there.
      def build(seed)
        unless File.directory?(@directory)
          FileUtils.mkdir_p(@directory)
          # QEMU passes through; whose images there are is nobody's to see.
          File.chmod(0o711, @directory)
        end
        work = File.join(@directory, "#{@uuid}.unfinished")
        delete([work]) if File.exist?(work)
        Dir.mkdir(work, 0o700)
        begin
          File.rename(image(seed, work), Seed.path(@uuid, seed))
        ensure
          delete([work])
        end
      end

      def delete(paths)
        FileUtils.rm_r(paths)
      end

      private

      def image(seed, work)
        files = File.join(work, 'files')
        image = File.join(work, 'image')
        Dir.mkdir(files)
        Seed.files(seed).each { |name, text| File.binwrite(File.join(files, name), text) }
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
