# Secrets of libvirt, by virsh.
require 'cgi'
require_relative '../../../puppet_x/virtapi/element'
require_relative '../../../puppet_x/virtapi/virsh'

Puppet::Type.type(:virtapi_ceph_secret).provide(:virsh) do
  desc 'virsh.'

  commands virsh: 'virsh'

  # Those for Ceph, by UUID.
  def self.secrets
    PuppetX::Virtapi::Virsh.run('secret-list').lines.map(&:split).select { |_, kind| kind == 'ceph' }.map(&:first)
  end

  def self.instances
    secrets.map { |uuid| new(name: uuid, ensure: :present) }
  end

  def self.prefetch(resources)
    found = secrets
    resources.each { |uuid, resource| resource.provider = new(name: uuid, ensure: found.include?(uuid) ? :present : :absent) }
  end

  def exists?
    get(:ensure) == :present
  end

  def create
    xml = PuppetX::Virtapi::Virsh
    text = "<secret ephemeral='no' private='no'><uuid>#{uuid}</uuid><usage type='ceph'><name>#{usage}</name></usage></secret>"
    xml.with_file(text) { |path| xml.run('secret-define', path) }
    self.key = resource[:key]
  end

  # Nobody is shown it.
  def key
    resource[:key] ? :set : :absent
  end

  def key_right?(key)
    private? || value == key
  end

  def key=(key)
    PuppetX::Virtapi::Virsh.with_file(key) { |path| PuppetX::Virtapi::Virsh.run('secret-set-value', uuid, '--file', path) }
  end

  private

  def uuid
    @resource ? @resource[:fsid] : get(:name)
  end

  def usage
    CGI.escapeHTML(resource[:usage] || uuid)
  end

  def private?
    PuppetX::Virtapi::Virsh.run('secret-dumpxml', uuid) =~ /<secret [^>]*private='yes'/
  end

  # nil when it has none yet.
  def value
    PuppetX::Virtapi::Virsh.run('secret-get-value', uuid).strip
  rescue Puppet::ExecutionFailure
    nil
  end
end
