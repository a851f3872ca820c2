# @summary The keys that a cluster begins with: of its monitors, of its administrator, and of those who use its pools.
type Virtapi::Ceph::Keys = Struct[{
  Optional[mon]    => Virtapi::Ceph::Key,
  Optional[admin]  => Virtapi::Ceph::Key,
  Optional[client] => Virtapi::Ceph::Key,
}]
