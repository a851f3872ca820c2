# @summary What a node is for.
type Virtapi::Role = Enum['hypervisor', 'ceph_mon', 'ceph_osd']
