# Images in a pool of Ceph.
require 'json'
require_relative '../../../puppet_x/virtapi/rbd'
require_relative '../../../puppet_x/virtapi/volume_provider'

Puppet::Type.type(:virtapi_volume).provide(:rbd) do
  desc 'Images in a pool of Ceph.'

  include PuppetX::Virtapi::VolumeProvider

  commands rbd: 'rbd'

  attr_writer :sizes

  # Without the document nobody knows which clusters there are.
  def self.instances
    []
  end

  # One question for each pool.
  def self.prefetch(resources)
    # Those without monitors are refused when their turn comes.
    resources.values.reject { |resource| resource[:mons].empty? }
             .group_by { |resource| [connection(resource), resource[:place].split('/', 2).first] }
             .each do |(connection, pool), same|
      text = Puppet::Util::Execution.execute(['rbd', *connection, 'ls', '--long', '--format', 'json', pool],
                                             failonfail: true, combine: false)
      sizes = JSON.parse(text).reject { |image| image.key?('snapshot') }
                  .map { |image| ["#{pool}/#{image['image']}", image['size']] }.to_h
      same.each { |resource| resource.provider.sizes = sizes }
    end
  end

  def self.connection(resource)
    PuppetX::Virtapi::Rbd.connection(resource[:cluster], resource[:rbd_user], resource[:mons])
  end

  def types
    %w[rbd]
  end

  def size
    @sizes[resource[:place]]
  end

  private

  def source
    "rbd:#{resource[:place]}"
  end

  def make(bytes)
    rbd(*connection, 'create', '--size', "#{bytes}B", resource[:place])
  end

  # A running machine's QEMU has the lock of the image, and makes it larger itself.
  def grow(bytes, disk)
    return tell_guest(disk, bytes) if disk

    rbd(*connection, 'resize', '--no-progress', '--size', "#{bytes}B", resource[:place])
  end

  def connection
    self.class.connection(resource)
  end
end
