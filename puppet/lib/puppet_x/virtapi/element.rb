# XML as a tree of elements: built by hand, read from libvirt, written as canonical text. It knows nothing of domains.
#
# REXML's own document is five times slower to read, and a hypervisor has many domains to look at.
#
# This file runs under Ruby 2.6 (JRuby 9.3 in puppetserver 7) and later.
require 'rexml/parsers/streamparser'
require 'rexml/streamlistener'

module PuppetX
  module Virtapi
    # One element: its name, attributes in their order, and children, which are elements or texts.
    class Element
      # What XML 1.0 cannot hold, however it is escaped.
      NOT_XML = /[^\u0009\u000A\u000D\u0020-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/.freeze
      ESCAPES = { '&' => '&amp;', '<' => '&lt;', '>' => '&gt;', "'" => '&apos;', "\t" => '&#9;', "\n" => '&#10;',
                  "\r" => '&#13;' }.freeze

      attr_reader :name, :attributes, :children

      def self.parse(text)
        reader = Reader.new
        REXML::Parsers::StreamParser.new(text, reader).parse
        reader.root
      end

      def initialize(name, attributes = {}, *children)
        @name = name
        @attributes = attributes
        @children = children.flatten.compact
      end

      # The first child element of that name.
      def child(name)
        @children.find { |child| child.is_a?(Element) && child.name == name }
      end

      # The text below a path of names; nil where there is none.
      def text(*path)
        element = path.inject(self) { |found, name| found && found.child(name) }
        element && element.children.grep(String).join
      end

      # An attribute below a path of names.
      def attribute(*path, key)
        element = path.inject(self) { |found, name| found && found.child(name) }
        element && element.attributes[key]
      end

      def elements(*names)
        @children.select { |child| child.is_a?(Element) && names.include?(child.name) }
      end

      # All elements of that name in it, however deep.
      def all(name)
        @children.grep(Element).flat_map { |child| (child.name == name ? [child] : []) + child.all(name) }
      end

      def remove(*names)
        @children.reject! { |child| child.is_a?(Element) && names.include?(child.name) }
      end

      # Puts a child where one of its name is, or at the end; nil only removes.
      def put(name, child)
        index = @children.index { |other| other.is_a?(Element) && other.name == name } || @children.length
        remove(name)
        @children.insert(index, child) if child
      end

      # Canonical text: two spaces for each level, one line for each element, attributes in their order.
      def to_s(depth = 0)
        indent = '  ' * depth
        start = "#{indent}<#{@name}#{@attributes.map { |key, value| " #{key}='#{escape(value)}'" }.join}"
        return "#{start}/>\n" if @children.empty?
        return "#{start}>#{@children.map { |text| escape(text) }.join}</#{@name}>\n" if @children.all?(String)

        "#{start}>\n#{elements_only.map { |child| child.to_s(depth + 1) }.join}#{indent}</#{@name}>\n"
      end

      private

      def elements_only
        @children.grep(Element)
      end

      def escape(value)
        value.to_s.gsub(NOT_XML, "\uFFFD").gsub(/[&<>'\t\n\r]/, ESCAPES)
      end

      # Fills a tree while REXML reads.
      class Reader
        include REXML::StreamListener

        attr_reader :root

        def initialize
          @open = []
        end

        def tag_start(name, attributes)
          element = Element.new(name, attributes.to_h)
          @root ||= element
          @open.last.children << element unless @open.empty?
          @open << element
        end

        def tag_end(_name)
          @open.pop
        end

        def text(text)
          @open.last.children << text unless @open.empty? || text.strip.empty?
        end
        alias cdata text
      end
    end
  end
end
