# @summary A pool of a Ceph cluster.
type Virtapi::Ceph::Pool = Struct[{
  name     => String[1],
  size     => Integer[1],
  min_size => Integer[1],
  pg_num   => Integer[1],
}]
