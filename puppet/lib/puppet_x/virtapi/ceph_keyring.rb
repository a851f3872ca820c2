# Files with the keys of Ceph. What is in them is shown to nobody.

module PuppetX
  module Virtapi
    # One file of keys.
    module CephKeyring
      KEY = %r{\A[A-Za-z0-9+/]{38}==\z}.freeze
      ADMIN_CAPS = { 'mds' => 'allow *', 'mgr' => 'allow *', 'mon' => 'allow *', 'osd' => 'allow *' }.freeze
      MON_CAPS = { 'mon' => 'allow *' }.freeze

      def self.text(entity, key, caps = {})
        lines = caps.sort.map { |service, cap| "\tcaps #{service} = \"#{cap.gsub(/["\\]/) { |char| "\\#{char}" }}\"\n" }
        "[#{entity}]\n\tkey = #{key}\n#{lines.join}"
      end

      # The key of an entity in a file; nil when it is not there.
      def self.key(path, entity)
        section = nil
        File.foreach(path, encoding: 'UTF-8') do |line|
          section = line[/\A\s*\[(.+)\]/, 1] || section
          key = line[/\A\s*key\s*=\s*(\S+)/, 1]
          return key if key && section == entity
        end
        nil
      rescue Errno::ENOENT
        nil
      end
    end
  end
end
