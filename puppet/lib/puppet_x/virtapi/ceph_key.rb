# How a key of Ceph is a property of a resource: compared by the provider, and shown nowhere.
module PuppetX
  module Virtapi
    # Included by the properties `key`; their providers have `key_right?`.
    module CephKey
      # Whatever type the catalog has it in.
      def sensitive
        true
      end

      def insync?(_is)
        provider.key_right?(should)
      end

      def is_to_s(_value)
        '[redacted]'
      end

      def should_to_s(_value)
        '[redacted]'
      end
    end
  end
end
