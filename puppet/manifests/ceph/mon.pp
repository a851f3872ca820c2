# @summary A Ceph monitor.
#
# @param cluster Name of its cluster, a key of `virtapi::ceph::clusters`.
# @param mon_name Its name in the cluster.
# @param address The address that it listens on.
# @param port The port that it listens on.
class virtapi::ceph::mon (
  String[1]         $cluster,
  String[1]         $mon_name,
  Virtapi::Ip       $address,
  Integer[1, 65535] $port,
) {
}
