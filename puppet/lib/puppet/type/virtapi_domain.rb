# A virtual machine in libvirt, as the document describes it.
require 'puppet/parameter/boolean'
require_relative '../../puppet_x/virtapi/domain_xml'
require_relative '../../puppet_x/virtapi/evaluated'
require_relative '../../puppet_x/virtapi/machine_parameters'
require_relative '../../puppet_x/virtapi/network_filter'

Puppet::Type.newtype(:virtapi_domain) do
  @doc = <<-DOC
    A virtual machine in libvirt. It is defined, started and stopped as `state` says. What libvirt can change while the
    machine runs is changed at once; what it cannot is defined for the next start, and a warning says that a restart is
    needed: a machine is never restarted but when `restarts` has grown. virtapi_removals takes it away.

    The bridges and volumes that it uses are autorequired.
  DOC

  include PuppetX::Virtapi::Evaluated
  include PuppetX::Virtapi::MachineParameters

  # The value of a list as one line of a report.
  def self.in_short(devices, *fields)
    return devices.to_s unless devices.is_a?(Array)

    "[#{devices.map { |device| fields.map { |field| device[field] }.compact.join(' ') }.join(', ')}]"
  end

  newparam(:accelerate, boolean: true, parent: Puppet::Parameter::Boolean) do
    desc 'Whether KVM may be used. Without it a machine whose method is KVM is emulated.'
    defaultto true
  end

  newparam(:switch) do
    desc 'What the bridges are: linux or openvswitch.'
    newvalues('linux', 'openvswitch')
    defaultto 'linux'
  end

  newparam(:rbd_user) do
    desc "The Ceph user of volumes in a pool. libvirt's secret for it has the cluster's fsid as its UUID."
    defaultto 'libvirt'
  end

  newparam(:clusters) do
    desc 'The Ceph clusters by name, as the document has them.'
    defaultto({})
  end

  # The properties whose difference a plan knows.
  planned = Module.new do
    def insync?(_is)
      provider.plan.insync?(name)
    end
  end

  newproperty(:vm_name) do
    desc "The machine's name, which libvirt keeps as its title."
    include planned
  end

  newproperty(:cores) do
    desc 'How many virtual CPUs it has.'
    include planned
    munge { |value| Integer(value) }
  end

  newproperty(:ram_bytes) do
    desc 'Its memory.'
    include planned
    munge { |value| Integer(value) }
  end

  newproperty(:cputime_limit) do
    desc 'Per cent of each virtual CPU that it may use, or none.'
    include planned
    munge { |value| value.to_s == 'none' ? 'none' : Integer(value) }
  end

  newproperty(:virt_method) do
    desc 'KVM or QEMU.'
    include planned
  end

  newproperty(:interfaces, array_matching: :all) do
    desc 'Its network interfaces, as the document has them.'
    include planned

    def is_to_s(value)
      resource.class.in_short(value, 'mac', 'bridge')
    end
    alias_method :should_to_s, :is_to_s
  end

  newproperty(:volumes, array_matching: :all) do
    desc 'Its volumes, as the document has them.'
    include planned

    def is_to_s(value)
      resource.class.in_short(value, 'uuid', 'type', 'cache', *PuppetX::Virtapi::DomainXml::IOTUNE.keys)
    end
    alias_method :should_to_s, :is_to_s
  end

  newproperty(:gpus, array_matching: :all) do
    desc "The hypervisor's PCI devices that it has for its own, as the document has them. They are for the next start."
    include planned

    def is_to_s(value)
      resource.class.in_short(value, 'address')
    end
    alias_method :should_to_s, :is_to_s
  end

  newproperty(:security_rules, array_matching: :all) do
    desc <<-DOC
      What may come in and go out by its interfaces, as the document has it, or none: nothing is filtered. Where its bridges
      cannot be filtered a warning says `unfiltered`.
    DOC
    defaultto 'none'
    validate { |value| raise ArgumentError, 'security_rules must be rules, or none' unless value.is_a?(Hash) || value == 'none' }

    def insync?(_is)
      provider.security_rules_right?
    end

    def should_to_s(value)
      value.is_a?(Array) ? "[#{value.map { |rule| rule.is_a?(Hash) ? rule.values.compact.join(' ') : rule }.join(', ')}]" : value.to_s
    end
  end

  newproperty(:restarts) do
    desc <<-DOC
      How often somebody has asked for a restart. The domain's metadata keep it. A machine that shall run, and runs with a
      smaller number, is shut down and started again; after `shutdown_timeout` it is switched off for that. One without a number
      only gets it.
    DOC
    munge { |value| Integer(value) }

    def insync?(_is)
      provider.restarts_right?
    end
  end

  newproperty(:restore, array_matching: :all) do
    desc <<-DOC
      The snapshot that each volume was last to be brought back to, and how often somebody has asked for that: from `volumes`. The
      domain's metadata keep the number. With a smaller one the volume is restored when the machine does not run, in place; where it
      fails, the machine is not started.
    DOC
    defaultto do
      given = Array(@resource.parameter(:volumes)&.should).select { |volume| volume['restore'] }
      given.map { |volume| { 'uuid' => volume['uuid'], **volume['restore'] } } unless given.empty?
    end

    def insync?(_is)
      provider.restore_right?
    end

    def is_to_s(value)
      resource.class.in_short(value, 'uuid', 'snapshot', 'number')
    end
    alias_method :should_to_s, :is_to_s
  end

  newproperty(:state) do
    desc <<-DOC
      What it shall be. `running` is started, and resumed if it was paused. `stopped` is shut down, and after
      `shutdown_timeout` switched off. `deactivated` is shut down and never switched off. In any other state it is left
      as it is.
    DOC

    def insync?(is)
      case should
      when 'running' then is == 'running'
      when 'stopped', 'deactivated' then %w[stopped crashed].include?(is)
      else true
      end
    end
  end

  newproperty(:autostart) do
    desc 'Whether it starts with the hypervisor: when its state is running, unless said otherwise.'
    newvalues(:true, :false)
    defaultto do
      state = @resource[:state]
      state == 'running' ? :true : :false if %w[running stopped deactivated].include?(state)
    end
  end

  validate do
    next unless self[:virt_method] # as `puppet resource` lists them

    %i[domain vm_name cores ram_bytes cputime_limit interfaces volumes state].each do |name|
      raise Puppet::Error, "#{name} must be given" if parameter(name).nil?
    end
  end

  autorequire(:virtapi_volume) { Array(self[:volumes]).map { |volume| volume['uuid'] } }
  autorequire(:virtapi_ceph_secret) { self[:clusters].values.map { |cluster| cluster['fsid'] } }
  autorequire(:virtapi_bridge) { Array(self[:interfaces]).map { |interface| interface['bridge'] } }

  def refuse
    virt_method = self[:virt_method]
    refuse_rules if rules
    return if virt_method.nil? || PuppetX::Virtapi::DomainXml::TYPES.key?(virt_method)

    raise Puppet::Error, "#{self[:domain]}: virt_method #{virt_method} is none that this module manages"
  end

  # Puppet comes here in each run, whatever it finds then.
  def retrieve
    reason = PuppetX::Virtapi::NetworkFilter.unfiltered(self[:switch].to_s) if rules
    warning("#{self[:domain]}: unfiltered: #{reason}") if reason
    super
  end

  def refuse_rules
    PuppetX::Virtapi::NetworkFilter.new(self[:uuid], rules).build
  rescue PuppetX::Virtapi::NetworkFilter::Refused => error
    raise Puppet::Error, "#{self[:domain]}: #{error.message}"
  end

  # nil where nothing is to be filtered.
  def rules
    given = parameter(:security_rules)&.should
    given unless given == ['none']
  end

  # The machine in the form of the document.
  def machine
    limit = self[:cputime_limit]
    { 'name' => self[:vm_name], 'domain' => self[:domain], 'cores' => self[:cores], 'ram_bytes' => self[:ram_bytes],
      'cputime_limit' => limit == 'none' ? nil : limit, 'virt_method' => self[:virt_method],
      'interfaces' => Array(parameter(:interfaces).should), 'volumes' => Array(parameter(:volumes).should),
      'gpus' => parameter(:gpus) ? Array(parameter(:gpus).should) : nil, 'seed' => parameter(:seed).files, 'restarts' => self[:restarts],
      'security_rules' => rules }
  end

  def settings
    { 'accelerate' => self[:accelerate], 'switch' => self[:switch].to_s, 'rbd_user' => self[:rbd_user],
      'clusters' => self[:clusters] }
  end
end
