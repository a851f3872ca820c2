# A cluster of Ceph that this node serves or uses.
require_relative '../../puppet_x/virtapi/evaluated'
require_relative '../../puppet_x/virtapi/rbd'

Puppet::Type.newtype(:virtapi_ceph_cluster) do
  @doc = <<-DOC
    A cluster of Ceph, by name. It changes nothing: without monitors in the document it is an error, and what needs it is left as
    it is, the file of settings first.
  DOC

  include PuppetX::Virtapi::Evaluated

  newparam(:name, namevar: true) do
    desc "The cluster's name."
  end

  newparam(:mons) do
    desc "The cluster's monitors, as the document has them."
    defaultto { [] }
  end

  def refuse
    PuppetX::Virtapi::Rbd.refuse_without(self[:mons], self[:name])
  end
end
