# Which machine is meant, and what is the same of all machines: what the types have in common that are of one.
require_relative 'seed'

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
        type.newproperty(:seed) do
          desc 'The files of its NoCloud seed by name, of type Sensitive, or none. What is shown and compared is a digest of them.'
          # As the document has them; nil for none.
          attr_reader :files

          defaultto 'none'
          validate do |value|
            texts = value.is_a?(Hash) && value.all? { |name, text| name =~ /\A[a-z-]+\z/ && text.is_a?(String) }
            # The reason that Puppet itself gives would have the texts.
            raise ArgumentError, 'seed must be texts by the names of files, or none' unless texts || value == 'none'
          end
          munge do |value|
            next value unless value.is_a?(Hash)

            @files = value
            Seed.digest(value)
          end

          def insync?(_is)
            provider.seed_right?
          end
        end
      end
    end
  end
end
