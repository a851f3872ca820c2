# @summary A volume in a Ceph pool.
type Virtapi::Volume::Rbd = Struct[{
  type                       => Enum['rbd'],
  uuid                       => Virtapi::Uuid,
  size_bytes                 => Virtapi::Bytes,
  NotUndef[read_iops_limit]  => Virtapi::Limit,
  NotUndef[write_iops_limit] => Virtapi::Limit,
  NotUndef[read_bps_limit]   => Virtapi::Limit,
  NotUndef[write_bps_limit]  => Virtapi::Limit,
  cache                      => String[1],
  cluster                    => String[1],
  pool                       => String[1],
  image                      => String[1],
  NotUndef[backing]          => Undef,
  snapshots                  => Array[Virtapi::Volume::Snapshot],
  Optional[restore]          => Optional[Virtapi::Volume::Restore],
}]
