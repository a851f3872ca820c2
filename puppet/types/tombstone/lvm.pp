# @summary A logical volume that was removed.
type Virtapi::Tombstone::Lvm = Struct[{
  type       => Enum['lvm'],
  vg         => String[1],
  lv         => String[1],
  not_before => Virtapi::Timestamp,
}]
