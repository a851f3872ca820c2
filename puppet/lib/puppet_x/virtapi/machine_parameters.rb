# Which machine is meant, and what is the same of all machines: what the types have in common that are of one.

module PuppetX
  module Virtapi
    # Included by these types.
    module MachineParameters
      def self.included(type)
        type.ensurable do
          desc 'A machine is made, and never taken away.'
          newvalue(:present) { provider.create }
          defaultto :present
        end
        type.newparam(:uuid, namevar: true) do
          desc "The machine's UUID."
          newvalues(/\A[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\z/)
        end
        type.newparam(:lxc_path) do
          desc 'The directory of all containers. What is a container there is no domain, and the other way round.'
          defaultto '/var/lib/lxc'
        end
        type.newparam(:shutdown_timeout) do
          desc 'Seconds that a guest has to shut down.'
          munge { |value| Integer(value) }
          defaultto 60
        end
        type.newproperty(:domain) do
          desc "The machine's name in libvirt or in LXC."
          newvalues(/\Avm-[1-9]\d*\z/)
        end
      end
    end
  end
end
