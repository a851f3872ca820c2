# @summary The Ceph clusters that this node serves or uses.
#
# @param clusters The clusters by name, with their monitors and pools.
class virtapi::ceph (
  Hash[String[1], Virtapi::Ceph::Cluster] $clusters,
) {
}
