# @summary A Ceph cluster with its monitors and pools.
type Virtapi::Ceph::Cluster = Struct[{
  fsid                      => Virtapi::Uuid,
  NotUndef[public_network]  => Optional[Virtapi::Cidr],
  NotUndef[cluster_network] => Optional[Virtapi::Cidr],
  mons                      => Array[Virtapi::Ceph::Mon],
  pools                     => Array[Virtapi::Ceph::Pool],
}]
