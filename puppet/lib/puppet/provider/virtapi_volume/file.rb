# Volumes in files, by qemu-img.
require_relative '../../../puppet_x/virtapi/qcow2'
require_relative '../../../puppet_x/virtapi/volume_provider'

Puppet::Type.type(:virtapi_volume).provide(:file) do
  desc 'Volumes in files: qcow2, maybe on a golden image, and raw.'

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
    # Under another name until it is whole; and nobody else's file is overwritten.
    unfinished = "#{path}.unfinished"
    File.delete(unfinished) if File.exist?(unfinished)
    if type == 'qcow2'
      qemu_img('create', '-q', '-f', 'qcow2', *golden(bytes), unfinished, bytes.to_s)
    else
      qemu_img('create', '-q', '-f', 'raw', unfinished, bytes.to_s)
    end
    File.chmod(0o600, unfinished)
    File.link(unfinished, path)
    File.delete(unfinished)
  end

  def golden(bytes)
    backing = resource[:backing]
    return [] unless backing

    image = backing['path']
    raise Puppet::Error, "#{path}: the golden image #{image} is not here" unless File.exist?(image)

    least = backing['format'] == 'qcow2' ? PuppetX::Virtapi::Qcow2.read(image) : File
    raise Puppet::Error, "#{path}: the golden image #{image} is no qcow2" unless least

    least = least == File ? File.size(image) : least.size
    raise Puppet::Error, "#{path}: the golden image #{image} has #{least} bytes, the volume only #{bytes}" if least > bytes

    ['-b', image, '-F', backing['format']]
  end

  def grow(bytes, disk)
    return tell_guest(disk, bytes) if disk

    qemu_img('resize', '-q', '-f', type, path, bytes.to_s)
  end
end
