# What the providers of virtapi_bridge have in common: which bridges are VMs', and that all of them are looked at once.
module PuppetX
  module Virtapi
    # A provider that includes it has `self.read`, what there is on this node, with its `bridges`.
    module BridgeProvider
      # The names that virtapi gives: the VM's id, and the interface's.
      OF_A_VM = /\Abr-?[0-9a-f]+-[0-9a-f]+\z/.freeze

      def self.included(provider)
        provider.extend(Look)
        provider.send(:attr_writer, :found)
      end

      # What Puppet asks of the provider itself.
      module Look
        # Whether there is anything that could have bridges.
        def running?
          true
        end

        def instances
          return [] unless running?

          found = read
          found.bridges.grep(OF_A_VM).map do |name|
            provider = new(name: name, ensure: :present)
            provider.found = found
            provider
          end
        end

        def prefetch(resources)
          found = read
          resources.each_value { |resource| resource.provider.found = found }
        end
      end

      def name
        @resource ? @resource[:name] : get(:name)
      end

      # How large packets can be that reach other hypervisors, and at most as large as is wanted.
      def possible_mtu
        _, mtu, overhead = underlay
        [resource[:mtu], mtu && mtu - overhead].compact.min
      end

      # Why packets do not get as far as they should; nil where they do.
      def narrow
        device, mtu, overhead = underlay
        return unless device && resource[:mtu] && mtu < resource[:mtu] + overhead

        "#{device} has an MTU of #{mtu}, and #{resource.segment} with packets of #{resource[:mtu]} bytes needs #{resource[:mtu] + overhead}"
      end
    end
  end
end
