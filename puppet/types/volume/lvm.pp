# @summary A volume in a logical volume.
type Virtapi::Volume::Lvm = Struct[{
  type                       => Enum['lvm'],
  uuid                       => Virtapi::Uuid,
  size_bytes                 => Virtapi::Bytes,
  NotUndef[read_iops_limit]  => Virtapi::Limit,
  NotUndef[write_iops_limit] => Virtapi::Limit,
  NotUndef[read_bps_limit]   => Virtapi::Limit,
  NotUndef[write_bps_limit]  => Virtapi::Limit,
  cache                      => String[1],
  vg                         => String[1],
  lv                         => String[1],
  NotUndef[backing]          => Undef,
  snapshots                  => Array[Virtapi::Volume::Snapshot],
  Optional[restore]          => Optional[Virtapi::Volume::Restore],
}]
