# @summary The Ceph OSD daemons of this node.
#
# @param osds One entry for each daemon.
# @param store Where their data is: on their devices; or, for tests, in a file of their own directory or in memory, and then
#   the devices are not looked at.
class virtapi::ceph::osd (
  Array[Virtapi::Ceph::Osd]        $osds,
  Enum['device', 'file', 'memory'] $store = 'device',
) {
  include virtapi::ceph

  if $virtapi::ceph::manage {
    $osds.each |$osd| {
      unless 'admin' in $virtapi::ceph::keys.unwrap.get($osd['cluster'], {}) {
        fail("virtapi::ceph::keys needs the key admin of cluster ${osd['cluster']}")
      }
      virtapi_ceph_osd { $osd['uuid']:
        cluster      => $osd['cluster'],
        device       => $osd['device'],
        db_device    => $osd['db_device'],
        device_class => $osd['device_class'],
        store        => $store,
        init         => $virtapi::ceph::init,
      }
    }
  }
}
