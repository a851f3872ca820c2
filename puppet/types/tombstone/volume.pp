# @summary A volume that was removed, by the way it is stored.
type Virtapi::Tombstone::Volume = Variant[
  Virtapi::Tombstone::File,
  Virtapi::Tombstone::Lvm,
  Virtapi::Tombstone::Rbd,
]
