# @summary A volume in a file, maybe on top of a golden image.
type Virtapi::Volume::File = Struct[{
  type                       => Enum['qcow2', 'raw'],
  uuid                       => Virtapi::Uuid,
  size_bytes                 => Virtapi::Bytes,
  NotUndef[read_iops_limit]  => Virtapi::Limit,
  NotUndef[write_iops_limit] => Virtapi::Limit,
  NotUndef[read_bps_limit]   => Virtapi::Limit,
  NotUndef[write_bps_limit]  => Virtapi::Limit,
  cache                      => String[1],
  path                       => Virtapi::Path,
  NotUndef[backing]          => Optional[Virtapi::Volume::Backing],
  snapshots                  => Array[Virtapi::Volume::Snapshot],
}]
