# @summary An image in a Ceph pool that was removed.
type Virtapi::Tombstone::Rbd = Struct[{
  type       => Enum['rbd'],
  cluster    => String[1],
  pool       => String[1],
  image      => String[1],
  not_before => Virtapi::Timestamp,
}]
