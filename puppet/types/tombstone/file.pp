# @summary A volume in a file that was removed; of which types, Virtapi::Volume::File says.
type Virtapi::Tombstone::File = Struct[{
  type       => Pattern[/\A(?!(?:lvm|rbd)\z)[^\/]+\z/],
  path       => Virtapi::Path,
  not_before => Virtapi::Timestamp,
}]
