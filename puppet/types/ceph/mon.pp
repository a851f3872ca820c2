# @summary One monitor of a Ceph cluster, as its clients need it.
type Virtapi::Ceph::Mon = Struct[{
  fqdn    => Virtapi::Fqdn,
  name    => String[1],
  address => Virtapi::Ip,
  port    => Integer[1, 65535],
}]
