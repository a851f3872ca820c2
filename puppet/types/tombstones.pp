# @summary What was removed in virtapi and may be deleted here when its time is over, by UUID.
type Virtapi::Tombstones = Struct[{
  vms     => Hash[Virtapi::Uuid, Virtapi::Tombstone::Vm],
  volumes => Hash[Virtapi::Uuid, Virtapi::Tombstone::Volume],
}]
