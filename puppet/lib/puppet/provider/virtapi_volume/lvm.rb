# Logical volumes.
require 'json'
require_relative '../../../puppet_x/virtapi/volume_provider'

Puppet::Type.type(:virtapi_volume).provide(:lvm) do
  desc 'Logical volumes of LVM.'

  include PuppetX::Virtapi::VolumeProvider

  commands lvs: 'lvs', lvcreate: 'lvcreate', lvextend: 'lvextend'

  attr_writer :sizes

  # Bytes and extent of each logical volume by `vg/lv`.
  def self.sizes
    text = Puppet::Util::Execution.execute(
      ['lvs', '--reportformat', 'json', '--units', 'b', '--nosuffix', '-o', 'vg_name,lv_name,lv_size,vg_extent_size'],
      failonfail: true, combine: false
    )
    JSON.parse(text)['report'].flat_map { |report| report['lv'] }.map do |row|
      ["#{row['vg_name']}/#{row['lv_name']}", [row['lv_size'].to_i, row['vg_extent_size'].to_i]]
    end.to_h
  end

  def self.instances
    found = sizes
    PuppetX::Virtapi::Virsh.domains.values.flat_map { |domain| domain.defined.disks }.map do |disk|
      place = disk.source.to_s[%r{\A/dev/(.+/.+)\z}, 1]
      next unless disk.uuid && found.key?(place)

      provider = new(name: disk.uuid, place: place)
      provider.sizes = found
      provider
    end.compact
  end

  def self.prefetch(resources)
    found = sizes
    resources.each_value { |resource| resource.provider.sizes = found }
  end

  def types
    %w[lvm]
  end

  def size
    found&.first
  end

  def unit
    found.last
  end

  private

  def found
    @sizes[@resource && @resource[:place] || get(:place)]
  end

  def source
    "/dev/#{resource[:place]}"
  end

  def make(bytes)
    group, name = resource[:place].split('/', 2)
    # What another volume has left on the disk is not for this machine to read: LVM clears the beginning, discards the rest
    # where the disk can.
    lvcreate('--yes', '--wipesignatures', 'y', '--zero', 'y', '--size', "#{bytes}b", '--name', name, group)
  end

  def grow(bytes, disk)
    lvextend('--size', "#{bytes}b", resource[:place])
    tell_guest(disk, bytes) if disk
  end
end
