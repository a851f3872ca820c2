# A monitor of a Ceph cluster.
require 'puppet/parameter/boolean'
require_relative '../../puppet_x/virtapi/ceph_daemon'
require_relative '../../puppet_x/virtapi/evaluated'

Puppet::Type.newtype(:virtapi_ceph_mon) do
  @doc = <<-DOC
    A monitor of a Ceph cluster on this node, titled `cluster/name`. One without data joins the cluster that answers at the
    document's addresses. Where none answers, it makes a new one with the monitors of the document, if `bootstrap` says so:
    a cluster that is down looks like one that is not there.

    `ensure => absent` takes it out of the cluster and deletes its data, if the others have quorum without it.
  DOC

  include PuppetX::Virtapi::Evaluated
  include PuppetX::Virtapi::Ceph::Title

  ensurable do
    desc 'Whether it is there. Only what is said to be absent is taken away.'
    newvalue(:present) { provider.create }
    newvalue(:absent) { provider.destroy }
    defaultto :present
  end

  newparam(:name, namevar: true) do
    desc 'Its cluster and its name there: `cluster/name`.'
    newvalues(%r{\A[^/\s]+/[^/\s]+\z})
  end

  newparam(:init) do
    desc 'How daemons are started: by `systemd`, or `direct`; by default systemd where it runs.'
    newvalues(:systemd, :direct)
    defaultto { PuppetX::Virtapi::CephDaemon.init }
  end

  newparam(:mons) do
    desc "The addresses of the cluster's monitors by name, as Ceph writes them."
    defaultto({})
  end

  newparam(:bootstrap, boolean: true, parent: Puppet::Parameter::Boolean) do
    desc 'Whether the cluster is made where none answers.'
    defaultto false
  end

  newparam(:keyring) do
    desc 'The file with the key `mon.`, from which its own is made.'
    defaultto { "/etc/ceph/#{@resource.cluster}.mon.keyring" }
  end

  newproperty(:fsid) do
    desc 'The fsid of its cluster. Another one is an error.'

    def insync?(is)
      return true if is == should

      raise Puppet::Error, "#{resource[:name]} is a monitor of another cluster: #{is}, and not #{should}"
    end
  end

  newproperty(:addresses) do
    desc 'Where it listens, as Ceph writes it. Another place is an error: a monitor does not move.'

    def insync?(is)
      return true if is == should

      raise Puppet::Error, "#{resource[:name]} listens at #{is}, and is to listen at #{should}: a monitor does not move. Take it " \
                           'away where it is, and make one with another name'
    end
  end

  newproperty(:state) do
    desc 'What it does: it runs and is in quorum.'
    newvalues(:quorum)
    defaultto { @resource[:ensure] == :absent ? nil : :quorum }
  end

  autorequire(:file) { "/etc/ceph/#{cluster}.conf" }
  autorequire(:virtapi_ceph_keyring) { ["#{cluster}/mon.", "#{cluster}/client.admin"] }

  validate do
    next if self[:ensure] == :absent || self[:mons].empty? # as `puppet resource` lists them

    raise Puppet::Error, 'fsid must be given' unless self[:fsid]
    raise Puppet::Error, "#{short_name} must be one of mons" unless self[:mons].key?(short_name)
  end
end
