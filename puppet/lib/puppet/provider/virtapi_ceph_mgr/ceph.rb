# Managers, by Ceph's own programs.
require_relative '../../../puppet_x/virtapi/ceph'
require_relative '../../../puppet_x/virtapi/ceph_daemon'

Puppet::Type.type(:virtapi_ceph_mgr).provide(:ceph) do
  desc 'ceph-mgr and ceph.'

  commands ceph_mgr: 'ceph-mgr', ceph: 'ceph'

  def self.instances
    PuppetX::Virtapi::Ceph.data('mgr').map { |cluster, id, _| new(name: "#{cluster}/#{id}") }
  end

  def exists?
    File.exist?("#{daemon.data}/keyring")
  end

  def create
    keyring = connection.run('auth', 'get-or-create', entity, 'mon', 'allow profile mgr', 'osd', 'allow *', 'mds', 'allow *')
    daemon.make_data
    PuppetX::Virtapi::Ceph.write("#{daemon.data}/keyring", keyring)
    self.state = :running
  end

  def destroy
    daemon.stop
    connection.run('auth', 'rm', entity)
    FileUtils.remove_entry_secure(daemon.data)
  end

  def state
    daemon.running? ? :running : :stopped
  end

  def state=(_value)
    daemon.start unless daemon.running?
  end

  private

  def entity
    "mgr.#{name.split('/', 2).last}"
  end

  def connection
    PuppetX::Virtapi::Ceph.new(name.split('/', 2).first)
  end

  def daemon
    cluster, id = name.split('/', 2)
    @daemon ||= PuppetX::Virtapi::CephDaemon.of(@resource && @resource[:init], cluster, 'mgr', id)
  end
end
