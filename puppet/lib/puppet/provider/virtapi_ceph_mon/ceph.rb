# Monitors, by Ceph's own programs.
require_relative '../../../puppet_x/virtapi/ceph'
require_relative '../../../puppet_x/virtapi/ceph_daemon'
require_relative '../../../puppet_x/virtapi/ceph_keyring'
require_relative '../../../puppet_x/virtapi/ceph_plan'

Puppet::Type.type(:virtapi_ceph_mon).provide(:ceph) do
  desc 'ceph-mon and ceph.'

  commands ceph_mon: 'ceph-mon', ceph: 'ceph', monmaptool: 'monmaptool'

  def self.instances
    PuppetX::Virtapi::Ceph.data('mon').map { |cluster, id, _| new(name: "#{cluster}/#{id}") }
  end

  def exists?
    Dir.exist?("#{data}/store.db")
  end

  def create
    keys = keyring
    begun = beginning
    raise Puppet::Error, "#{resource[:name]}: #{begun.detail}" if begun.kind == :refuse

    PuppetX::Virtapi::Ceph.with_directory do |directory|
      PuppetX::Virtapi::Ceph.write("#{directory}/keyring", keys)
      map(begun.kind, "#{directory}/map")
      make(directory)
    end
    bring_into_quorum
  end

  def destroy
    reason = PuppetX::Virtapi::CephPlan.mon_removal(quorum_status, id)
    raise Puppet::Error, "#{name} is not taken away: #{reason}" if reason

    # It ends by itself when it hears of it.
    connection.run('mon', 'remove', id)
    daemon.stop
    FileUtils.remove_entry_secure(data)
  end

  # What cannot be looked at, for the monitor does not run, is not wrong.
  def fsid
    status ? status['monmap']['fsid'] : desired(:fsid)
  end

  def addresses
    here = status && status['monmap']['mons'].find { |mon| mon['name'] == id }
    return desired(:addresses) unless here

    "[#{here['public_addrs']['addrvec'].map { |address| "#{address['type']}:#{address['addr']}" }.join(',')}]"
  end

  def state
    return :stopped unless status

    %w[leader peon].include?(status['state']) ? :quorum : status['state'].to_sym
  end

  def state=(_value)
    bring_into_quorum
  end

  private

  def cluster
    name.split('/', 2).first
  end

  def id
    name.split('/', 2).last
  end

  def desired(property)
    @resource ? @resource[property] : :absent
  end

  def connection
    @connection ||= PuppetX::Virtapi::Ceph.new(cluster)
  end

  def daemon
    @daemon ||= PuppetX::Virtapi::CephDaemon.of(@resource && @resource[:init], cluster, 'mon', id)
  end

  def data
    daemon.data
  end

  # What the monitor says of itself, which needs no quorum; nil when it does not run.
  def status
    @status = PuppetX::Virtapi::Ceph.daemon(cluster, "mon.#{id}", 'mon_status') unless defined?(@status)
    @status
  end

  def in_quorum_now?
    remove_instance_variable(:@status) if defined?(@status)
    state == :quorum
  end

  def quorum_status
    connection.json('quorum_status')
  rescue PuppetX::Virtapi::Ceph::Away
    nil
  end

  def beginning
    cluster_fsid =
      begin
        connection.run('fsid').strip
      rescue PuppetX::Virtapi::Ceph::Away
        nil
      end
    traces = PuppetX::Virtapi::Ceph.data('osd').select { |found, _, _| found == cluster }.map(&:last)
    PuppetX::Virtapi::CephPlan.mon_beginning(fsid: resource[:fsid], cluster_fsid: cluster_fsid, bootstrap: resource.bootstrap?,
                                             traces: traces)
  end

  # The keys that it begins with: its own kind's, and the administrator's.
  def keyring
    keyring = PuppetX::Virtapi::CephKeyring
    admin = PuppetX::Virtapi::Ceph::ADMIN
    wanted = [['mon.', resource[:keyring], keyring::MON_CAPS],
              [admin, "/etc/ceph/#{cluster}.#{admin}.keyring", keyring::ADMIN_CAPS]]
    wanted.map do |entity, path, caps|
      key = keyring.key(path, entity) or raise Puppet::Error, "#{name}: there is no key of #{entity} in #{path}"
      keyring.text(entity, key, caps)
    end.join
  end

  # The monitors that it looks for.
  def map(kind, path)
    if kind == :join
      connection.run('mon', 'getmap', '-o', path)
    else
      addresses = resource[:mons].sort.flat_map { |mon, address| ['--addv', mon, address] }
      monmaptool('--create', '--clobber', '--fsid', resource[:fsid], *addresses, path)
    end
    FileUtils.chown(PuppetX::Virtapi::Ceph::OWNER, PuppetX::Virtapi::Ceph::OWNER, path)
  end

  def make(directory)
    owner = PuppetX::Virtapi::Ceph::OWNER
    daemon.make_data
    ceph_mon('--cluster', cluster, '--id', id, '--mkfs', '--monmap', "#{directory}/map", '--keyring', "#{directory}/keyring",
             '--setuser', owner, '--setgroup', owner)
  rescue StandardError
    # Half of a monitor would be taken for one.
    FileUtils.remove_entry_secure(data) if Dir.exist?(data)
    raise
  end

  def bring_into_quorum
    daemon.start unless daemon.running?
    return if PuppetX::Virtapi::CephDaemon.within?(PuppetX::Virtapi::CephDaemon::QUORUM) { in_quorum_now? }

    others = (resource[:mons].keys - [id]).sort
    raise Puppet::Error, "#{name} runs and is not in quorum (#{state}): it waits for #{others.join(', ')}"
  end
end
