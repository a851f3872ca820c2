# A volume of a virtual machine.
require_relative '../../puppet_x/virtapi/evaluated'
require_relative '../../puppet_x/virtapi/rbd'
require_relative '../../puppet_x/virtapi/volume_parameters'

Puppet::Type.newtype(:virtapi_volume) do
  @doc = <<-DOC
    A volume of a virtual machine: a file (qcow2, raw), a logical volume, or an image in a pool; the provider says which
    of these (`file`, `lvm`, `rbd`). It is made and grows. It is never made smaller; virtapi_removals takes it away. One that
    a defined domain has, and that is not there, is not made anew: it is lost, and an empty one would hide that.
  DOC

  include PuppetX::Virtapi::Evaluated
  include PuppetX::Virtapi::VolumeParameters

  ensurable do
    desc 'A volume is made, and never taken away.'
    newvalue(:present) { provider.create }
    defaultto :present
  end

  newparam(:backing) do
    desc 'The golden image that it is made on (qcow2) or a copy of (raw), as the document has it. A volume that is there keeps what it came from.'
  end

  newproperty(:size_bytes) do
    desc 'Its size. A smaller one is an error.'
    munge { |value| Integer(value) }

    def insync?(is)
      # QEMU rounds up to sectors, LVM to its extents.
      return true if is >= should && is < should + provider.unit
      return false if is < should

      raise Puppet::Error, "#{resource[:place]} has #{is} bytes and is to have #{should}: a volume is never made smaller"
    end
  end

  # Its pool, and the key to it, where this node has them from here.
  autorequire(:virtapi_ceph_pool) { "#{self[:cluster]}/#{self[:place].split('/', 2).first}" if self[:cluster] }
  autorequire(:virtapi_ceph_keyring) { "#{self[:cluster]}/client.#{self[:rbd_user]}" if self[:cluster] }
  autorequire(:virtapi_ceph_osd) { catalog.resources.select { |resource| resource.type == :virtapi_ceph_osd }.map(&:title) }

  def refuse
    PuppetX::Virtapi::Rbd.refuse_without(self[:mons], self[:cluster]) if self[:type] == 'rbd'
    return if self[:type].nil? || provider.types.include?(self[:type])

    raise Puppet::Error, "#{self[:place]}: type #{self[:type]} is none that this module manages"
  end
end
