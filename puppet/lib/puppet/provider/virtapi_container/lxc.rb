# Containers, by LXC's own programs.
require_relative '../../../puppet_x/virtapi/lxc'
require_relative '../../../puppet_x/virtapi/seed_images'
require_relative '../../../puppet_x/virtapi/virsh'

Puppet::Type.type(:virtapi_container).provide(:lxc) do
  desc 'Containers of LXC.'

  REASONS = { 'interfaces' => 'its interfaces become others', 'root' => 'its root becomes another',
              'settings' => 'its ids or its profile become others', 'seed' => 'its seed changes' }.freeze

  attr_writer :found, :others, :domains

  def self.instances
    PuppetX::Virtapi::Lxc.new('/var/lib/lxc').containers.select(&:uuid).map do |container|
      provider = new(name: container.uuid, ensure: :present)
      provider.found = container
      provider
    end
  end

  def self.prefetch(resources)
    # A machine may have been a domain until now.
    domains = Puppet::Util.which('virsh') ? PuppetX::Virtapi::Virsh.all : []
    resources.values.group_by { |resource| resource[:lxc_path] }.each do |path, below|
      there = PuppetX::Virtapi::Lxc.new(path).containers
      below.each do |resource|
        found, others = there.partition { |container| container.uuid == resource[:uuid] }
        resource.provider.found = found.first
        resource.provider.others = others.map(&:name)
        resource.provider.domains = domains
      end
    end
  end

  # Raises where it cannot be this machine's.
  def refuse
    name = resource[:domain]
    raise Puppet::Error, "#{name}: LXC is not installed here (lxc-start)" unless PuppetX::Virtapi::Lxc.installed?
    raise Puppet::Error, "#{name}: a domain of libvirt has this UUID, and no container is made beside it" if @domains.to_a.include?(resource[:uuid])
    return unless @others.to_a.include?(name)

    raise Puppet::Error, "#{name}: a container of this name is there already, and another made it"
  end

  def exists?
    !@found.nil?
  end

  def create
    @created = true
  end

  def domain
    @found.name
  end

  def domain=(name)
    raise Puppet::Error, "the container is called #{domain} and not #{name}: another made it, and virtapi renames nothing"
  end

  def text
    @found ? @found.text : ''
  end
  alias config text

  # Whether it starts with the hypervisor stays as it is where its state does not say.
  def wanted_text
    wanted.build(autostart: exists? && @found.autostart?)
  end

  def config_right?
    reasons = running? && !restart? && !to_be_off? ? restart_reasons : []
    resource.warning("#{resource[:domain]}: restart needed: #{reasons.join('; ')}") unless reasons.empty?
    text == wanted_text
  end

  def seed
    directory = @found.seed
    directory ? PuppetX::Virtapi::Seed.digest_of(directory) : 'none'
  end

  # Its directory is there, is what it is defined with, and is the only one but that of what runs.
  def seed_right?
    @found&.seed == wanted.seed && !seed_missing? && images.all.all? { |path| path == wanted.seed || @found.started_with?(path) }
  end

  def limits
    running? ? lxc.limits(@found.pid) : {}
  end

  def wanted_limits
    lxc.of_here(wanted.limits)
  end

  # What is about to be stopped need not be changed before.
  def limits_right?
    !running? || restart? || to_be_off? || limits == wanted_limits
  end

  # With which it was started, where it runs.
  def restarts
    (running? ? @found.started['restarts'] : @found.metadata['restarts']) || 'none'
  end

  def restarts_right?
    !restart? && !restarts_to_be_noted?
  end

  def state
    @found.state
  end

  %i[config= seed= limits= restarts=].each do |setter|
    define_method(setter) { |_value| @changed = true }
  end

  def state=(value)
    @state = value
  end

  def flush
    # Before anything is done: where it fails, what runs is left as it is.
    images.spread(resource.machine['seed'], wanted.group) if seed_missing?
    lxc.define(resource[:domain], wanted_text) if @created || text != wanted_text
    change if @changed && running?
    if @changed && restart?
      stop('stopped')
      boot
    elsif @created || @state
      bring_to(resource[:state])
    end
    clear_images
  end

  private

  def lxc
    @lxc ||= PuppetX::Virtapi::Lxc.new(resource[:lxc_path] || '/var/lib/lxc')
  end

  def wanted
    @wanted ||= PuppetX::Virtapi::ContainerConfig.new(resource[:uuid], resource.machine, resource.settings)
  end

  def images
    @images ||= PuppetX::Virtapi::SeedImages.new(resource[:uuid])
  end

  def seed_missing?
    !wanted.seed.nil? && !images.paths.include?(wanted.seed)
  end

  # What runs may have the old one yet.
  def clear_images
    old = images.all - [wanted.seed]
    return if old.empty?

    now = lxc.containers.find { |container| container.uuid == resource[:uuid] }
    images.delete(old.reject { |path| now.started_with?(path) })
  end

  def running?
    !@found.nil? && @found.running?
  end

  def to_be_off?
    %w[stopped deactivated].include?(resource[:state])
  end

  # Only one that shall run: where it is interrupted, that state starts it again.
  def restart?
    resource[:state] == 'running' && restart_asked?
  end

  def restart_asked?
    number = @found&.started.to_h['restarts']
    running? && !number.nil? && !resource[:restarts].nil? && number.to_i < resource[:restarts]
  end

  def restarts_to_be_noted?
    running? && !resource[:restarts].nil? && !restart_asked? && @found.started['restarts'] != resource[:restarts].to_s
  end

  def restart_reasons
    started = @found.started
    reasons = REASONS.reject { |part, _| started[part] == wanted.fixed[part] }.values
    reasons << 'a restart is asked for' if restart_asked?
    reasons
  end

  def change
    lxc.note(resource[:domain], @found.line, resource[:restarts]) if restarts_to_be_noted?
    return if restart? || to_be_off?

    now = limits
    wanted_limits.reject { |key, value| now[key] == value }.each { |key, value| lxc.limit(resource[:domain], key, value) }
  end

  def bring_to(state)
    case state
    when 'running' then start
    when 'stopped', 'deactivated' then stop(state) if running?
    end
  end

  def start
    return boot unless running?

    lxc.resume(resource[:domain]) if @found.state == 'paused'
  end

  def boot
    lxc.start(resource[:domain])
  end

  def stop(state)
    name = resource[:domain]
    seconds = resource[:shutdown_timeout]
    lxc.ask(name, @found.state)
    return if lxc.wait([name], seconds).empty?
    raise Puppet::Error, "#{name} has not shut down in #{seconds} s" unless state == 'stopped'

    resource.warning("#{name} has not shut down in #{seconds} s, and is killed")
    lxc.kill(name)
  end
end
