# OSDs, by Ceph's own programs. `ceph-volume` is not asked to make them, for it gives them UUIDs of its own; what is made here
# is what its `raw prepare` makes, and its `raw list` shows it.
require_relative '../../../puppet_x/virtapi/ceph'
require_relative '../../../puppet_x/virtapi/ceph_daemon'
require_relative '../../../puppet_x/virtapi/ceph_device'
require_relative '../../../puppet_x/virtapi/ceph_keyring'
require_relative '../../../puppet_x/virtapi/ceph_osds'
require_relative '../../../puppet_x/virtapi/ceph_plan'

Puppet::Type.type(:virtapi_ceph_osd).provide(:ceph) do
  desc 'ceph-osd and ceph.'

  commands ceph_osd: 'ceph-osd', ceph: 'ceph', ceph_authtool: 'ceph-authtool'

  attr_writer :osds

  def self.instances
    PuppetX::Virtapi::CephOsds.here.group_by(&:cluster).flat_map do |cluster, here|
      osds = PuppetX::Virtapi::CephOsds.new(cluster)
      here.map do |osd|
        provider = new(name: osd.uuid, cluster: cluster)
        provider.osds = osds
        provider
      end
    end
  end

  def self.prefetch(resources)
    resources.values.group_by { |resource| resource[:cluster] }.each do |cluster, same|
      osds = PuppetX::Virtapi::CephOsds.new(cluster)
      same.each { |resource| resource.provider.osds = osds }
    end
  end

  def exists?
    !here.nil?
  end

  def create
    begun = PuppetX::Virtapi::CephPlan.osd_beginning(uuid, known, contents)
    raise Puppet::Error, "#{label}: #{begun.detail}" if begun.kind == :refuse

    refuse_db_device if begun.kind == :new
    @id = begun.kind == :new ? announce : known['osd'].to_s
    begun.kind == :adopt ? adopt : make
    bring_up
  end

  def device_class
    @osds.device_class(uuid) || :absent
  end

  def device_class=(name)
    connection.run('osd', 'crush', 'rm-device-class', "osd.#{id}")
    connection.run('osd', 'crush', 'set-device-class', name, "osd.#{id}")
  end

  def state
    return :up if known && known['up'] == 1 && daemon.running?

    daemon.running? ? :down : :stopped
  end

  def state=(_value)
    bring_up
  end

  # How far it is on its way out.
  def removal
    case step && step.kind
    when nil then :absent
    when :out then :present
    when :wait then :out
    when :purge then :empty
    when :clear then :purged
    end
  end

  # Whether the cluster knows it, or there is something of it here.
  def there?
    !(known.nil? && here.nil?)
  end

  def removed?(is)
    return is == :absent unless is == :out

    resource.warning("#{label} is out and still needed: #{step.detail}. The next run looks again") unless @warned
    @warned = true
  end

  def remove
    case step.kind
    when :out then connection.run('osd', 'out', id)
    when :purge then purge
    when :clear then clear
    end
  end

  def removal_done
    { out: 'out; its data moves away, and a later run purges it', purge: 'purged', clear: 'cleared away' }.fetch(step.kind)
  end

  private

  def uuid
    @resource ? @resource[:uuid] : get(:name)
  end

  def cluster
    (@resource && @resource[:cluster]) || get(:cluster)
  end

  def known
    @osds.known(uuid)
  end

  def here
    @osds.here(uuid)
  end

  def id
    @id || (here ? here.id : known['osd'].to_s)
  end

  def label
    known ? "osd.#{known['osd']} (#{uuid})" : "the OSD #{uuid}"
  end

  def connection
    @connection ||= PuppetX::Virtapi::Ceph.new(cluster)
  end

  def daemon
    @daemon ||= PuppetX::Virtapi::CephDaemon.of(@resource && @resource[:init], cluster, 'osd', id)
  end

  def on_device?
    resource[:store] == :device
  end

  def contents
    PuppetX::Virtapi::CephDevice.contents(resource[:device]) if on_device?
  end

  def refuse_db_device
    return unless on_device? && resource[:db_device]

    found = PuppetX::Virtapi::CephDevice.contents(resource[:db_device])
    return if found.empty?

    raise Puppet::Error, "#{label}: #{resource[:db_device]} is not blank: #{found.values.first}. Nothing here erases a disk"
  end

  # The cluster gives it a number.
  def announce
    secrets = { 'cephx_secret' => ceph_authtool('--gen-print-key').strip }
    secrets['crush_device_class'] = resource[:device_class] if resource[:device_class]
    connection.run('osd', 'new', uuid, '-i', '-', input: JSON.generate(secrets)).strip
  end

  def make
    prepare_directory
    objects = resource[:store] == :memory ? 'memstore' : 'bluestore'
    owner = PuppetX::Virtapi::Ceph::OWNER
    ceph_osd('--cluster', cluster, '--id', id, '--mkfs', '--osd-uuid', uuid, '--osd-objectstore', objects,
             '--setuser', owner, '--setgroup', owner)
  end

  # The device has all that the directory had.
  def adopt
    prepare_directory
    PuppetX::Virtapi::Ceph.execute(['ceph-bluestore-tool', "--cluster=#{cluster}", 'prime-osd-dir', '--no-mon-config',
                                    '--dev', resource[:device], '--path', daemon.data])
    Dir.children(daemon.data).each do |name|
      FileUtils.chown(PuppetX::Virtapi::Ceph::OWNER, PuppetX::Virtapi::Ceph::OWNER, "#{daemon.data}/#{name}")
    end
  end

  def prepare_directory
    daemon.make_data
    key = connection.run('auth', 'get-key', "osd.#{id}").strip
    PuppetX::Virtapi::Ceph.write("#{daemon.data}/keyring", PuppetX::Virtapi::CephKeyring.text("osd.#{id}", key))
    return unless on_device?

    { 'block' => resource[:device], 'block.db' => resource[:db_device] }.each do |name, device|
      FileUtils.ln_sf(device, "#{daemon.data}/#{name}") if device
    end
    own_devices
  end

  # After the machine's start devices are root's again.
  def own_devices
    owner = PuppetX::Virtapi::Ceph::OWNER
    Dir.glob("#{daemon.data}/block*").each do |path|
      next unless File.symlink?(path)

      FileUtils.chown(owner, owner, File.realpath(path))
    end
  end

  def bring_up
    unless daemon.running?
      own_devices
      daemon.start
    end
    return if PuppetX::Virtapi::CephDaemon.within?(PuppetX::Virtapi::CephDaemon::UP) { active? }

    raise Puppet::Error, "#{label} runs, and the cluster does not have it up"
  end

  # As it says itself: of one that was killed the cluster says for a while that it is up.
  def active?
    status = PuppetX::Virtapi::Ceph.daemon(cluster, "osd.#{id}", 'status')
    !status.nil? && status['state'] == 'active'
  end

  def step
    unless defined?(@step)
      @step = PuppetX::Virtapi::CephPlan.osd_removal(known, !here.nil?) { unsafe }
    end
    @step
  end

  # Why it may not be destroyed; nil when it may.
  def unsafe
    connection.run('osd', 'safe-to-destroy', id)
    nil
  rescue PuppetX::Virtapi::Ceph::Failed => error
    error.message.sub(/\Aceph: (Error \w+: )?/, '').chomp('.')
  end

  # One that runs on another node is not stopped from here, and Ceph does not purge what is up.
  def purge
    if here
      daemon.stop
      connection.run('osd', 'down', id)
    end
    connection.run('osd', 'purge', id, '--yes-i-really-mean-it')
    clear if here
  end

  # What is on a device stays on it.
  def clear
    unless here.fsid == @osds.fsid
      raise Puppet::Error, "#{here.path} is of another cluster: #{here.fsid}, and not #{@osds.fsid}"
    end

    daemon.stop
    FileUtils.remove_entry_secure(here.path)
  end
end
