# Volumes in files, by qemu-img.
require_relative '../../../puppet_x/virtapi/golden_image'
require_relative '../../../puppet_x/virtapi/qcow2'
require_relative '../../../puppet_x/virtapi/volume_provider'

Puppet::Type.type(:virtapi_volume).provide(:file) do
  desc 'Volumes in files: qcow2, maybe on a golden image, and raw, maybe a copy of one.'

  include PuppetX::Virtapi::VolumeProvider

  commands qemu_img: 'qemu-img'
  defaultfor kernel: 'Linux'

  def self.instances
    PuppetX::Virtapi::Virsh.domains.values.flat_map { |domain| domain.defined.disks }
                           .select { |disk| disk.uuid && disk.source.to_s.start_with?('/') && File.file?(disk.source) }
                           .map { |disk| new(name: disk.uuid, path: disk.source, type: disk.format) }
  end

  def types
    %w[qcow2 raw]
  end

  def size
    return unless File.exist?(path)
    return File.size(path) if type == 'raw'

    header = PuppetX::Virtapi::Qcow2.read(path)
    raise Puppet::Error, "#{path} is there and no qcow2: it is left alone" unless header

    header.size
  end

  private

  def path
    @resource && @resource[:place] || get(:path)
  end
  alias source path

  def type
    @resource && @resource[:type] || get(:type)
  end

  def make(bytes)
    golden = resource[:backing] && PuppetX::Virtapi::GoldenImage.new(path, resource[:backing])
    golden&.check(bytes)
    copied = golden if type == 'raw'
    copied&.check_contents
    # Under another name until it is whole; and nobody else's file is overwritten.
    unfinished = "#{path}.unfinished"
    File.delete(unfinished) if File.exist?(unfinished)
    begin
      qemu_img('create', '-q', '-f', type, *(golden && !copied ? golden.words : []), unfinished, bytes.to_s)
      File.chmod(0o600, unfinished)
      copied&.copy(unfinished)
      File.link(unfinished, path)
    ensure
      File.delete(unfinished) if File.exist?(unfinished)
    end
  end

  def grow(bytes, disk)
    return tell_guest(disk, bytes) if disk

    qemu_img('resize', '-q', '-f', type, path, bytes.to_s)
  end
end
