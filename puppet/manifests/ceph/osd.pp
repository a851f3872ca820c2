# @summary The Ceph OSD daemons of this node.
#
# @param osds One entry for each daemon.
class virtapi::ceph::osd (
  Array[Virtapi::Ceph::Osd] $osds,
) {
}
