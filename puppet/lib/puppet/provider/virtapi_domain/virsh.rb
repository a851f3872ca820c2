# Domains of libvirt, by virsh.
require_relative '../../../puppet_x/virtapi/domain_plan'
require_relative '../../../puppet_x/virtapi/live_domain'
require_relative '../../../puppet_x/virtapi/lxc'
require_relative '../../../puppet_x/virtapi/rbd'
require_relative '../../../puppet_x/virtapi/restores'
require_relative '../../../puppet_x/virtapi/seed_images'
require_relative '../../../puppet_x/virtapi/shutdown'
require_relative '../../../puppet_x/virtapi/virsh'

Puppet::Type.type(:virtapi_domain).provide(:virsh) do
  desc 'Domains of libvirt on QEMU.'

  commands virsh: 'virsh'

  # Reasons of a pause that nobody has to be asked about.
  RESUMABLE = ['user', 'I/O error', 'watchdog', 'unknown', nil].freeze

  attr_writer :found

  def self.instances
    PuppetX::Virtapi::Virsh.domains.map do |uuid, domain|
      provider = new(name: uuid, ensure: :present)
      provider.found = domain
      provider
    end
  end

  def self.prefetch(resources)
    @filters = nil
    found = PuppetX::Virtapi::Virsh.domains(resources.keys)
    resources.each { |uuid, resource| resource.provider.found = found[uuid] }
  end

  # The packet filters of all machines, asked where the first of them has one.
  def self.filters
    @filters ||= PuppetX::Virtapi::Virsh.filters
  end

  # One that runs and is not defined would be gone when it ends: it is defined, and runs on.
  def exists?
    !@found.nil? && @found.persistent
  end

  def create
    # Its method was LXC until now: two would write to one disk.
    if PuppetX::Virtapi::Lxc.new(resource[:lxc_path]).uuids.include?(uuid)
      raise Puppet::Error, "#{resource[:domain]}: a container of LXC has this UUID, and no domain is made beside it"
    end

    @created = true
  end

  def domain
    @found.defined.name
  end

  def domain=(name)
    raise Puppet::Error, "the domain is called #{domain} and not #{name}: another made it, and virtapi renames nothing"
  end

  def vm_name
    @found.defined.title
  end

  def cores
    @found.defined.cores
  end

  def ram_bytes
    @found.defined.memory_kib * 1024
  end

  def cputime_limit
    @found.defined.cputime_limit || 'none'
  end

  def virt_method
    type = @found.defined.type
    PuppetX::Virtapi::DomainXml::TYPES.key(type) || type
  end

  def interfaces
    @found.defined.interfaces.map { |interface| { 'mac' => interface.mac, 'bridge' => interface.bridge } }
  end

  def volumes
    @found.defined.disks.map do |disk|
      { 'uuid' => disk.uuid || disk.source, 'type' => disk.format, 'cache' => disk.cache, **disk.limits }
    end
  end

  def gpus
    @found.defined.gpus.map { |gpu| { 'address' => gpu.address } }
  end

  def seed
    image = @found.defined.seed
    image ? PuppetX::Virtapi::Seed.digest_of(image) : 'none'
  end

  # Its image is there, and none that it had before.
  def seed_right?
    plan.insync?(:seed) && !seed_missing? && (saved? || (images.all - [@found.running&.seed, seed_wanted]).empty?)
  end

  def state
    @found.state
  end

  def autostart
    @found.autostart ? :true : :false
  end

  def security_rules
    filtered? ? 'filtered' : 'none'
  end

  # At its interfaces, and in the filter itself.
  def security_rules_right?
    plan.insync?(:security_rules) && filter_right?
  end

  # With which it was last started, where it runs.
  def restarts
    (@found.running || @found.defined).restarts || 'none'
  end

  def restarts_right?
    plan.insync?(:restarts) && !restart?
  end

  # The last restore of each volume.
  def restore
    @found.defined.restores.to_h.map { |uuid, number| { 'uuid' => uuid, 'number' => number } }
  end

  def restore_right?
    plan.insync?(:restore) && restores.empty?
  end

  # What is to be done; looked at for each property, and so made once.
  def plan
    return @plan if @plan

    @plan = make_plan
    reasons = restart? || %w[stopped deactivated].include?(resource[:state]) ? [] : @plan.restart_reasons
    resource.warning("#{resource[:domain]}: restart needed: #{reasons.join('; ')}") unless reasons.empty?
    @plan
  end

  %i[vm_name= cores= ram_bytes= cputime_limit= virt_method= interfaces= volumes= gpus= seed= security_rules= restarts= restore=].each do |setter|
    define_method(setter) { |_value| @changed = true }
  end

  def state=(value)
    @state = value
  end

  def autostart=(value)
    @autostart = value
  end

  def flush
    # Before anything is done: where it fails, what runs is left as it is.
    restores.check
    images.build(resource.machine['seed']) if seed_missing?
    define_filter unless filter_right?
    if @created
      define(desired_xml)
      @autostart = resource[:autostart]
      @state = resource[:state]
    elsif @changed
      change
    end
    autostarted(@autostart) if @autostart
    if @changed && restart?
      restart
    elsif @state
      bring_to(@state)
    end
    carry_out_restores
    clear_images
    # Nobody may use it any more.
    virsh('nwfilter-undefine', filter_name) if filter_left?
  end

  private

  def uuid
    resource[:uuid]
  end

  def virsh(*words)
    PuppetX::Virtapi::Virsh.run(*words)
  end

  def images
    @images ||= PuppetX::Virtapi::SeedImages.new(uuid)
  end

  def seed_wanted
    seed = resource.machine['seed']
    seed && PuppetX::Virtapi::Seed.path(uuid, seed)
  end

  def seed_missing?
    !seed_wanted.nil? && !images.paths.include?(seed_wanted)
  end

  # libvirt has written its memory to a file, and with it the image that it had.
  def saved?
    !@found.nil? && @found.reason == 'saved'
  end

  # What runs may have the old one yet.
  def clear_images
    return if saved?

    old = images.all - [seed_wanted]
    images.delete(old - [live.definition.seed]) unless old.empty?
  end

  # Those that can be done in this run, for the machine does not run, or is about to be shut down.
  def restores
    @restores ||= PuppetX::Virtapi::Restores.new(resource, exists? && (restart? || off?) ? plan.pending_restores : [])
  end

  def off?
    @found.running.nil? || %w[stopped deactivated].include?(resource[:state])
  end

  # What libvirt has kept of a machine's memory belongs to what its disks were. And should the hypervisor end meanwhile, libvirt must
  # not start what is half restored.
  def carry_out_restores
    return if restores.empty?

    virsh('managedsave-remove', uuid) if saved?
    starts_itself = @autostart ? @autostart.to_s == 'true' : @found.autostart
    autostarted(false) if starts_itself
    restores.carry_out
    autostarted(true) if starts_itself
  end

  def live
    @live ||= PuppetX::Virtapi::LiveDomain.new(resource)
  end

  def filter_name
    PuppetX::Virtapi::NetworkFilter.name_of(uuid)
  end

  def filtered?
    !@found.nil? && [@found.defined, @found.running].compact.any?(&:filtered?)
  end

  def filter_right?
    builder.filter.nil? || builder.filter.like?(self.class.filters[filter_name])
  end

  def filter_left?
    builder.filter.nil? && filtered? && self.class.filters.key?(filter_name)
  end

  def define_filter
    PuppetX::Virtapi::Virsh.with_file(builder.filter.build.to_s) { |path| virsh('nwfilter-define', path) }
  end

  def builder
    @builder ||= PuppetX::Virtapi::DomainXml.new(uuid, resource.machine, resource.settings)
  end

  def desired_xml
    builder.build
  end

  def make_plan
    PuppetX::Virtapi::DomainPlan.new(PuppetX::Virtapi::DomainDefinition.new(desired_xml), @found.defined, @found.running)
  end

  def define(xml)
    PuppetX::Virtapi::Virsh.with_file(xml.to_s) { |path| virsh('define', path, '--validate') }
  end

  def change
    actions = plan.actions.values.flatten
    unless plan.undefined.empty?
      # Anew, and with what a dump leaves out unless asked: it would be lost.
      defined = PuppetX::Virtapi::Element.parse(virsh('dumpxml', uuid, '--inactive', '--security-info'))
      define(PuppetX::Virtapi::DomainMerge.new(desired_xml, defined).merge)
    end
    # What is about to be stopped need not be changed before.
    live.change(actions) unless restart? || %w[stopped deactivated].include?(@state)
  end

  def autostarted(value)
    virsh('autostart', uuid, *(value.to_s == 'true' ? [] : ['--disable']))
  end

  # Only one that shall run: where it is interrupted, that state starts it again.
  def restart?
    resource[:state] == 'running' && plan.restart_asked?
  end

  def bring_to(state)
    case state
    when 'running' then start
    when 'stopped', 'deactivated' then stop(state) if @found
    end
  end

  def start
    return if @found && @found.state == 'running'
    return boot unless @found && @found.running?

    refuse_to_resume
    virsh('resume', uuid)
  end

  # A machine whose disks are half restored does not get there.
  def boot
    carry_out_restores
    PuppetX::Virtapi::Rbd.images(resource).each(&:wait_until_unused)
    virsh('start', uuid)
  end

  # What it was asked for in vain is defined by now.
  def restart
    refuse_to_resume if @found.state == 'paused'
    stop('stopped')
    boot
  end

  def refuse_to_resume
    return if RESUMABLE.include?(@found.reason)

    raise Puppet::Error, "#{resource[:domain]} is paused (#{@found.reason}), and not resumed"
  end

  def stop(state)
    seconds = resource[:shutdown_timeout]
    PuppetX::Virtapi::Shutdown.ask(uuid, @found.state)
    return if PuppetX::Virtapi::Shutdown.wait([uuid], seconds).empty?
    raise Puppet::Error, "#{resource[:domain]} has not shut down in #{seconds} s" unless state == 'stopped'

    resource.warning("#{resource[:domain]} has not shut down in #{seconds} s, and is switched off")
    virsh('destroy', uuid)
  end
end
