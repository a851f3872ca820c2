# A virtual machine whose method is LXC, as the document describes it.
require_relative '../../puppet_x/virtapi/container_config'
require_relative '../../puppet_x/virtapi/evaluated'
require_relative '../../puppet_x/virtapi/machine_parameters'

Puppet::Type.newtype(:virtapi_container) do
  @doc = <<-DOC
    A container of LXC. It is defined, started and stopped as `state` says. Its share of processors and memory is changed while it
    runs; all else is for its next start, and a warning says that a restart is needed: a container is never restarted but when
    `restarts` has grown. What a machine has and LXC cannot is an error of that machine. virtapi_removals takes it away.

    The bridges and volumes that it uses are autorequired.
  DOC

  include PuppetX::Virtapi::Evaluated
  include PuppetX::Virtapi::MachineParameters

  newparam(:container_ids) do
    desc "The first of the host's ids that the container has as its own, and how many; or none: its root is the host's."
    defaultto { [1_000_000, 65_536] }
  end

  newparam(:container_apparmor) do
    desc 'The AppArmor profile that it runs in.'
    defaultto 'generated'
  end

  newparam(:cores) do
    desc 'How many processors it may use the time of.'
    munge { |value| Integer(value) }
  end

  newparam(:ram_bytes) do
    desc 'The most memory that it may have.'
    munge { |value| Integer(value) }
  end

  newparam(:cputime_limit) do
    desc 'Per cent of each of its processors that it may use, or none.'
    munge { |value| value.to_s == 'none' ? 'none' : Integer(value) }
    defaultto 'none'
  end

  newparam(:interfaces) do
    desc 'Its network interfaces, as the document has them.'
    munge { |value| value.is_a?(Array) ? value : [value] }
    defaultto { [] }
  end

  newparam(:volumes) do
    desc 'Its volumes, as the document has them: one, raw or lvm, with a file system that is its root.'
    munge { |value| value.is_a?(Array) ? value : [value] }
  end

  newparam(:gpus) do
    desc 'Devices that are passed through: LXC cannot.'
    munge { |value| value.is_a?(Array) ? value : [value] }
    defaultto { [] }
  end

  newparam(:security_rules) do
    desc 'What may come in and go out by its interfaces, or none: nothing is filtered. LXC cannot filter, and it is not run without.'
    defaultto 'none'
  end

  newproperty(:config) do
    desc 'Its configuration, which follows from all else. What is shown are the lines that differ.'
    defaultto :document

    def insync?(_is)
      provider.config_right?
    end

    def is_to_s(_value)
      in_short(provider.text.lines - provider.wanted_text.lines)
    end

    def should_to_s(_value)
      in_short(provider.wanted_text.lines - provider.text.lines)
    end

    def in_short(lines)
      lines.reject { |line| line.start_with?('lxc.hook.') }.map(&:strip).join(', ')
    end
  end

  newproperty(:limits) do
    desc 'What it has of the machine while it runs.'
    defaultto :document

    def insync?(_is)
      provider.limits_right?
    end

    def should_to_s(_value)
      provider.wanted_limits.to_s
    end
  end

  newproperty(:restarts) do
    desc <<-DOC
      How often somebody has asked for a restart. A container that shall run, and was started with a smaller number, is shut down and
      started again; after `shutdown_timeout` it is killed for that. One without a number only gets it.
    DOC
    munge { |value| Integer(value) }

    def insync?(_is)
      provider.restarts_right?
    end
  end

  newproperty(:state) do
    desc <<-DOC
      What it shall be. `running` is started, and goes on if it was frozen. `stopped` is shut down, and after `shutdown_timeout`
      killed. `deactivated` is shut down and never killed. In any other state it is left as it is.
    DOC

    def insync?(is)
      case should
      when 'running' then is == 'running'
      when 'stopped', 'deactivated' then is == 'stopped'
      else true
      end
    end
  end

  validate do
    next unless self[:volumes] # as `puppet resource` lists them

    %i[domain cores ram_bytes state].each do |name|
      raise Puppet::Error, "#{name} must be given" if parameter(name).nil?
    end
  end

  autorequire(:virtapi_volume) { Array(self[:volumes]).map { |volume| volume['uuid'] } }
  autorequire(:virtapi_bridge) { Array(self[:interfaces]).map { |interface| interface['bridge'] } }

  def refuse
    return unless self[:volumes]

    reasons = PuppetX::Virtapi::ContainerConfig.refusals(machine)
    raise Puppet::Error, "#{self[:domain]}: LXC cannot have #{reasons.join(', ')}" unless reasons.empty?

    provider.refuse
  end

  # The machine in the form of the document.
  def machine
    limit = self[:cputime_limit]
    { 'domain' => self[:domain], 'cores' => self[:cores], 'ram_bytes' => self[:ram_bytes],
      'cputime_limit' => limit == 'none' ? nil : limit, 'state' => self[:state], 'interfaces' => self[:interfaces],
      'volumes' => self[:volumes], 'gpus' => self[:gpus], 'seed' => parameter(:seed).files, 'restarts' => self[:restarts],
      'security_rules' => self[:security_rules] == 'none' ? nil : self[:security_rules] }
  end

  def settings
    %i[lxc_path container_ids container_apparmor].map { |name| [name.to_s, self[name]] }.to_h
  end
end
