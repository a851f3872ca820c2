# Which volume is meant and where it is: what the types have in common that are of one.

module PuppetX
  module Virtapi
    # Included by these types.
    module VolumeParameters
      def self.included(type)
        type.newparam(:uuid, namevar: true) do
          desc "The volume's UUID."
          newvalues(/\A[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\z/)
        end
        type.newparam(:vm) { desc 'UUID of the virtual machine that has it.' }
        type.newparam(:type) { desc 'qcow2, raw, lvm or rbd.' }
        type.newparam(:place) { desc 'Where it is: the path of a file, `vg/lv`, or `pool/image`.' }
        type.newparam(:cluster) { desc 'The Ceph cluster that its pool is in, by name.' }
        type.newparam(:mons) do
          desc "The cluster's monitors, as the document has them."
          defaultto { [] }
        end
        type.newparam(:rbd_user) do
          desc 'The Ceph user, whose keyring is where Ceph looks for it.'
          defaultto 'libvirt'
        end
      end
    end
  end
end
