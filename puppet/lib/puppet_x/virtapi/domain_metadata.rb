# What virtapi keeps in a domain's own metadata, beside that of others: how often the machine was to be restarted when it was
# last started, and which restore of each volume was the last. libvirt keeps it for what is defined and for what runs; restores count in
# what is defined alone.
require_relative 'element'

module PuppetX
  module Virtapi
    # In the root element of a domain.
    module DomainMetadata
      NAMESPACE = 'urn:virtapi'.freeze
      PREFIX = 'virtapi'.freeze

      # nil where there is nothing to keep.
      # @param restores [Hash] numbers by UUIDs of volumes
      def self.build(restarts, restores)
        return if restarts.nil? && restores.empty?

        attributes = { "xmlns:#{PREFIX}" => NAMESPACE, 'restarts' => restarts&.to_s }.compact
        Element.new('metadata', {}, Element.new("#{PREFIX}:vm", attributes, volumes("#{PREFIX}:", restores)))
      end

      # The same as libvirt takes it from a command: it adds the namespace.
      def self.words(restarts, restores)
        # In one line: no value has one of its own.
        Element.new('vm', { 'restarts' => restarts&.to_s }.compact, volumes('', restores)).to_s.gsub(/\n */, '')
      end

      # nil where nothing is kept.
      def self.restarts(root)
        kept = find(root)
        number = kept && kept.attributes['restarts']
        number.to_i if number =~ /\A\d+\z/
      end

      # nil where nothing of virtapi is kept at all.
      def self.restores(root)
        kept = find(root)
        return unless kept

        numbers = kept.elements(volume_of(kept)).map { |volume| volume.attributes.values_at('uuid', 'restore') }
        numbers.select { |uuid, number| uuid && number =~ /\A\d+\z/ }.map { |uuid, number| [uuid, number.to_i] }.to_h
      end

      # `restarts` stay as they are where they are nil.
      def self.put(root, restarts, restores)
        kept = find(root)
        new = build(restarts, restores)
        if kept
          kept.attributes['restarts'] = restarts.to_s if restarts
          kept.remove(volume_of(kept))
          kept.children.concat(volumes(kept.name.delete_suffix('vm'), restores))
        elsif new && root.child('metadata')
          root.child('metadata').children.concat(new.children)
        elsif new
          root.put('metadata', new)
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

      def self.volume_of(kept)
        kept.name.sub(/vm\z/, 'volume')
      end

      def self.volumes(prefix, restores)
        restores.map { |uuid, number| Element.new("#{prefix}volume", { 'uuid' => uuid, 'restore' => number.to_s }) }
      end
      private_class_method :find, :volume_of, :volumes
    end
  end
end
