# The snapshots of a volume.
require_relative '../../puppet_x/virtapi/evaluated'
require_relative '../../puppet_x/virtapi/rbd'
require_relative '../../puppet_x/virtapi/volume_parameters'
require_relative '../../puppet_x/virtapi/volume_snapshots'

Puppet::Type.newtype(:virtapi_snapshots) do
  @doc = <<-DOC
    The snapshots of a volume, which its storage calls `virtapi-NAME`. One is taken when its time has come, whether or not the
    machine runs: as after a loss of power, for nobody asks the guest. It is deleted when its time is over. What the document
    does not name is left alone. Only volumes of type qcow2 and rbd have any.
  DOC

  include PuppetX::Virtapi::Evaluated
  include PuppetX::Virtapi::VolumeParameters

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
