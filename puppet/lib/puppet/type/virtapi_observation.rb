# Tells the server what is really there.
Puppet::Type.newtype(:virtapi_observation) do
  @doc = <<-DOC
    Tells, in the log of the run and so in its report, how the virtual machines of a hypervisor are, or the monitors and OSDs
    of a storage node, and what is there that virtapi does not know. It looks when everything else is done, whether or not
    that failed, and in noop as well; it changes nothing.
  DOC

  newparam(:certname, namevar: true) do
    desc "The node's certname."
  end

  newparam(:hypervisor) do
    desc 'Where to look: `local_storage_path`, `vg_name`, `switch`, `uplink`. Without it nothing is told of a hypervisor.'
  end
end
