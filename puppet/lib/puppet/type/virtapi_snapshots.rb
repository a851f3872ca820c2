# The snapshots of a volume.
require_relative '../../puppet_x/virtapi/evaluated'
require_relative '../../puppet_x/virtapi/rbd'
require_relative '../../puppet_x/virtapi/volume_snapshots'

Puppet::Type.newtype(:virtapi_snapshots) do
  @doc = <<-DOC
    The snapshots of a volume, which its storage calls `virtapi-NAME`. One is taken when its time has come, whether or not the
    machine runs: as after a loss of power, for nobody asks the guest. It is deleted when its time is over. What the document
    does not name is left alone. Only volumes of type qcow2 and rbd have any.
  DOC

  include PuppetX::Virtapi::Evaluated

  newparam(:uuid, namevar: true) do
    desc "The volume's UUID."
    newvalues(/\A[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\z/)
  end

  newparam(:vm) do
    desc 'UUID of the virtual machine that has it.'
  end

  newparam(:type) do
    desc 'qcow2 or rbd.'
  end

  newparam(:place) do
    desc 'Where it is: the path of a file, or `pool/image`.'
  end

  newparam(:cluster) do
    desc 'The Ceph cluster that its pool is in, by name.'
  end

  newparam(:mons) do
    desc "The cluster's monitors, as the document has them."
    defaultto { [] }
  end

  newparam(:rbd_user) do
    desc 'The Ceph user, whose keyring is where Ceph looks for it.'
    defaultto 'libvirt'
  end

  newparam(:snapshots) do
    desc 'Its snapshots, as the document has them.'
    defaultto { [] }
  end

  newparam(:restore) do
    desc 'The snapshot that the volume was last to be brought back to, as the document has it. While that waits, it is not deleted.'
  end

  newproperty(:pending) do
    desc 'What is to be done by now: none, when it is done.'
    newvalues(:none)
    defaultto :none
  end

  autorequire(:virtapi_volume) { self[:uuid] }

  def refuse
    PuppetX::Virtapi::VolumeSnapshots.refuse(self[:type], self[:place])
    PuppetX::Virtapi::Rbd.refuse_without(self[:mons], self[:cluster]) if self[:type] == 'rbd'
  end
end
