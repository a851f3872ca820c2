# Domains of libvirt, by virsh.
require_relative '../../../puppet_x/virtapi/domain_plan'
require_relative '../../../puppet_x/virtapi/rbd'
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
    found = PuppetX::Virtapi::Virsh.domains(resources.keys)
    resources.each { |uuid, resource| resource.provider.found = found[uuid] }
  end

  # One that runs and is not defined would be gone when it ends: it is defined, and runs on.
  def exists?
    !@found.nil? && @found.persistent
  end

  def create
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

  # What is to be done; looked at for each property, and so made once.
  def plan
    @plan ||= make_plan.tap do |plan|
      unless plan.restart_reasons.empty?
        resource.warning("#{resource[:domain]}: restart needed: #{plan.restart_reasons.join('; ')}")
      end
    end
  end

  %i[vm_name= cores= ram_bytes= cputime_limit= virt_method= interfaces= volumes= seed=].each do |setter|
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
    images.build(resource.machine['seed']) if seed_missing?
    if @created
      define(desired_xml)
      @autostart = resource[:autostart]
      @state = resource[:state]
    elsif @changed
      change
    end
    autostarted(@autostart) if @autostart
    bring_to(@state) if @state
    clear_images
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
    images.delete(old - [running_now.seed]) unless old.empty?
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
    return if %w[stopped deactivated].include?(@state)

    # What goes away goes first, in case that its name is used anew.
    actions.sort_by { |action| action.kind.to_s.start_with?('detach') ? 0 : 1 }.each { |action| live(action) }
  end

  def live(action)
    case action.kind
    when :limit_cpu then limit_cpu(action.device)
    when :limit_disk then limit_disk(action)
    when :attach_disk
      action.device.element.child('target').attributes['dev'] = action.target
      attach(action.device)
    when :attach_interface then attach(action.device)
    when :change_seed then change_seed(action)
    when :detach_disk then detach_disk(action.device)
    when :detach_interface then detach_interface(action.device)
    end
  end

  def limit_cpu(percent)
    period = PuppetX::Virtapi::DomainXml::PERIOD
    # libvirt takes -1 as no limit.
    quota = percent ? percent * period / 100 : -1
    virsh('schedinfo', uuid, '--live', "vcpu_period=#{period}", "vcpu_quota=#{quota}")
  end

  def limit_disk(action)
    limits = PuppetX::Virtapi::DomainXml::IOTUNE.flat_map do |field, name|
      ["--#{name.tr('_', '-')}", (action.device.limits[field] || 0).to_s]
    end
    virsh('blkdeviotune', uuid, action.target, '--live', *limits)
  end

  def attach(device)
    PuppetX::Virtapi::Virsh.with_file(device.element.to_s) { |path| virsh('attach-device', uuid, path, '--live') }
  end

  # The guest has to let go of it; libvirt waits a few seconds for that.
  def detach(device)
    PuppetX::Virtapi::Virsh.with_file(device.element.to_s) { |path| virsh('detach-device', uuid, path, '--live') }
  end

  def detach_disk(disk)
    detach(disk)
    return if running_now.disks.none? { |other| disk.same?(other) }

    raise Puppet::Error, "#{resource[:domain]}: the guest does not let go of volume #{disk.uuid}"
  end

  # Its guest may have locked the drive, and has the new one at its next start then.
  def change_seed(action)
    virsh('change-media', uuid, action.target, *(action.device ? [action.device, '--update'] : ['--eject']), '--live')
  rescue Puppet::ExecutionFailure => error
    resource.warning("#{resource[:domain]}: restart needed: #{PuppetX::Virtapi::DomainPlan::SEED_KEPT}: #{error.message.strip}")
  end

  # Cut off at once, whatever the guest does.
  def detach_interface(interface)
    virsh('domif-setlink', uuid, interface.mac, 'down')
    detach(interface)
    return if running_now.interfaces.none? { |other| interface.same?(other) }

    resource.warning("#{resource[:domain]}: interface #{interface.mac} is cut off, and the guest has not let go of it")
  end

  def running_now
    PuppetX::Virtapi::DomainDefinition.new(PuppetX::Virtapi::Element.parse(virsh('dumpxml', uuid)))
  end

  def autostarted(value)
    virsh('autostart', uuid, *(value.to_s == 'true' ? [] : ['--disable']))
  end

  def bring_to(state)
    case state
    when 'running' then start
    when 'stopped', 'deactivated' then stop(state) if @found
    end
  end

  def start
    return if @found && @found.state == 'running'

    unless @found && @found.running?
      PuppetX::Virtapi::Rbd.images(resource).each(&:wait_until_unused)
      return virsh('start', uuid)
    end

    unless RESUMABLE.include?(@found.reason)
      raise Puppet::Error, "#{resource[:domain]} is paused (#{@found.reason}), and not resumed"
    end

    virsh('resume', uuid)
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
