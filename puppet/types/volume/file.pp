# @summary A volume in a file, maybe on top of a golden image. Every type that is neither a logical volume nor in a pool
#   is a file; one that this module has never heard of must not cost the node its whole catalog.
type Virtapi::Volume::File = Struct[{
  type                       => Pattern[/\A(?!(?:lvm|rbd)\z)[^\/]+\z/],
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
  Optional[restore]          => Optional[Virtapi::Volume::Restore],
}]
