# @summary A hypervisor and the virtual machines that belong on it.
#
# @param local_storage_bytes Size of the local storage for volumes; null if it is not known.
# @param local_storage_path Directory of the volumes that are files; null if there are none.
# @param vg_name LVM volume group of the volumes; null if there are none.
# @param cores Cores that virtual machines may use.
# @param ram_bytes Memory that virtual machines may use.
# @param cpu_overcommit_ratio How many virtual cores one core may carry.
# @param ram_overcommit_ratio How much virtual memory a byte may carry.
# @param virt_methods The methods that this hypervisor offers.
# @param vms The virtual machines by UUID.
class virtapi::hypervisor (
  Optional[Virtapi::Bytes]          $local_storage_bytes,
  Optional[Virtapi::Path]           $local_storage_path,
  Optional[String[1]]               $vg_name,
  Integer[1]                        $cores,
  Virtapi::Bytes                    $ram_bytes,
  Numeric                           $cpu_overcommit_ratio,
  Numeric                           $ram_overcommit_ratio,
  Array[String[1]]                  $virt_methods,
  Hash[Virtapi::Uuid, Virtapi::Vm]  $vms,
) {
}
