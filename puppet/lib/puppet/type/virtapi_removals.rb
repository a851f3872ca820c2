# What was removed in virtapi, on one hypervisor.
require_relative '../../puppet_x/virtapi/evaluated'
require_relative '../../puppet_x/virtapi/removal_share'

Puppet::Type.newtype(:virtapi_removals) do
  @doc = <<-DOC
    What was removed in virtapi goes from a hypervisor by its tombstones: a domain or a container is shut down, and after `shutdown_timeout`
    switched off, and kept without autostart until its time is over; then it is undefined. A volume is deleted when its time
    is over, unless a domain has it or it is open. A run that would remove more than `max_removals` per cent removes nothing and
    fails, until the document is approved. A domain that another has made, and what the document still has, is an error.

    What could not be removed makes the resource fail, and keeps nothing else from being removed.
  DOC

  include PuppetX::Virtapi::Evaluated

  newparam(:certname, namevar: true) do
    desc "The node's certname."
  end

  newparam(:tombstones) do
    desc 'What was removed: `vms` and `volumes` by UUID, as the document has them.'
    validate do |value|
      unless value.is_a?(Hash) && %w[vms volumes].all? { |key| value[key].is_a?(Hash) }
        raise ArgumentError, 'tombstones must be a hash of vms and volumes'
      end
    end
    defaultto('vms' => {}, 'volumes' => {})
  end

  newparam(:meta) do
    desc "The document's version: `virtapi::meta`. Its `approved` allows any number of removals."
    validate { |value| raise ArgumentError, 'meta must be the hash virtapi::meta' unless value.is_a?(Hash) }
  end

  PuppetX::Virtapi::RemovalShare.add_to(
    self, 'How many per cent of the machines, and of the volumes, one run removes at most, but always one.',
  )

  newparam(:rbd_user) do
    desc 'The Ceph user, whose keyring is where Ceph looks for it.'
    defaultto 'libvirt'
  end

  newparam(:clusters) do
    desc 'The Ceph clusters by name, as the document has them.'
    defaultto({})
  end

  newparam(:lxc_path) do
    desc 'The directory of all containers.'
    defaultto '/var/lib/lxc'
  end

  newparam(:shutdown_timeout) do
    desc 'Seconds that a guest has to shut down.'
    munge { |value| Integer(value) }
    defaultto 60
  end

  newproperty(:pending) do
    desc 'What is to be done by now: none, when it is done.'
    newvalues(:none)
    defaultto :none

    def insync?(is)
      problems = provider.problems
      if is == should
        raise Puppet::Error, problems.join('; ') unless problems.empty?

        return true
      end
      problems.each { |problem| resource.warning(problem) } if resource.noop?
      false
    end
  end

  validate { raise ArgumentError, 'meta must be given' unless self[:meta] }

  # The keys to the pools, where this node has them from here.
  autorequire(:virtapi_ceph_keyring) do
    self[:tombstones]['volumes'].values.map { |volume| volume['cluster'] }.compact.uniq
                                .map { |cluster| "#{cluster}/client.#{self[:rbd_user]}" }
  end

  def refuse
    many = provider.refused
    return unless many

    raise Puppet::Error, "#{many} would be removed, and a run removes at most #{self[:max_removals]} per cent: nothing is removed. " \
                         "#{PuppetX::Virtapi::RemovalShare.how_to_approve(self[:certname], self[:meta])}"
  end
end
