# What virtapi keeps in a domain's own metadata, beside that of others: how often the machine was to be restarted when it was
# last started. libvirt keeps it for what is defined and for what runs.
require_relative 'element'

module PuppetX
  module Virtapi
    # In the root element of a domain.
    module DomainMetadata
      NAMESPACE = 'urn:virtapi'.freeze
      PREFIX = 'virtapi'.freeze

      def self.build(restarts)
        Element.new('metadata', {}, Element.new("#{PREFIX}:vm", { "xmlns:#{PREFIX}" => NAMESPACE, 'restarts' => restarts.to_s }))
      end

      # nil where nothing is kept.
      def self.restarts(root)
        kept = find(root)
        number = kept && kept.attributes['restarts']
        number.to_i if number =~ /\A\d+\z/
      end

      def self.put(root, restarts)
        kept = find(root)
        if kept
          kept.attributes['restarts'] = restarts.to_s
        elsif root.child('metadata')
          root.child('metadata').children.concat(build(restarts).children)
        else
          root.put('metadata', build(restarts))
        end
      end

      # Whatever its prefix: libvirt declares it here or above.
      def self.find(root)
        metadata = root.child('metadata')
        return unless metadata

        metadata.children.grep(Element).find do |element|
          prefix = element.name[/\A(.+):vm\z/, 1]
          prefix && metadata.attributes.merge(element.attributes)["xmlns:#{prefix}"] == NAMESPACE
        end
      end
      private_class_method :find
    end
  end
end
