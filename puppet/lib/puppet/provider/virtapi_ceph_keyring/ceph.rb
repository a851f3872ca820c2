# Keys in files and in the cluster.
require_relative '../../../puppet_x/virtapi/ceph'
require_relative '../../../puppet_x/virtapi/ceph_keyring'

Puppet::Type.type(:virtapi_ceph_keyring).provide(:ceph) do
  desc 'Files, and the cluster by ceph.'

  def self.instances
    PuppetX::Virtapi::Ceph.clusters.flat_map do |cluster|
      Dir.glob("/etc/ceph/#{cluster}.*.keyring").sort.map do |path|
        new(name: "#{cluster}/#{File.basename(path, '.keyring').delete_prefix("#{cluster}.")}", path: path)
      end
    end
  end

  def exists?
    File.exist?(path)
  end

  def create
    write
    tell_cluster if resource[:caps]
  end

  # Nobody is shown it.
  def key
    resource[:key] ? :set : :absent
  end

  def key_right?(key)
    PuppetX::Virtapi::CephKeyring.key(path, entity) == key && (resource[:caps].nil? || known.nil? || known['key'] == key)
  end

  def key=(_key)
    write
    tell_cluster if resource[:caps]
  end

  def mode
    format('%04o', File.stat(path).mode & 0o7777)
  end

  def mode=(mode)
    File.chmod(Integer(mode, 8), path)
  end

  def caps
    return :absent unless @resource && @resource[:caps]

    known ? known['caps'] : :absent
  end

  def caps=(_caps)
    tell_cluster
  end

  private

  def path
    @resource ? @resource[:path] : get(:path)
  end

  def entity
    name.split('/', 2).last
  end

  def connection
    PuppetX::Virtapi::Ceph.new(name.split('/', 2).first)
  end

  # What the cluster knows of it; nil when it does not know it.
  def known
    unless defined?(@known)
      @known = connection.json('auth', 'ls')['auth_dump'].find { |found| found['entity'] == entity }
    end
    @known
  end

  def write
    FileUtils.mkdir_p(File.dirname(path))
    Puppet::Util.replace_file(path, 0o600) do |file|
      file.chmod(0o600)
      file.write(PuppetX::Virtapi::CephKeyring.text(entity, resource[:key]))
    end
  end

  def tell_cluster
    return if @told

    text = PuppetX::Virtapi::CephKeyring.text(entity, resource[:key], resource[:caps])
    connection.run('auth', 'import', '-i', '-', input: text)
    @told = true
  end
end
