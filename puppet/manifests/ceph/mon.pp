# @summary A Ceph monitor, with a manager beside it, and what a cluster's monitors see to: its pools, and the key of those who
#   use them.
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
  include virtapi::ceph

  if $virtapi::ceph::manage {
    $keys = $virtapi::ceph::keys.unwrap.get($cluster, {})
    unless 'mon' in $keys and 'admin' in $keys {
      fail("virtapi::ceph::keys needs the keys mon and admin of cluster ${cluster}")
    }
    $described = $virtapi::ceph::clusters[$cluster]

    virtapi_ceph_keyring { "${cluster}/mon.":
      path => "/etc/ceph/${cluster}.mon.keyring",
      key  => Sensitive($keys['mon']),
    }
    virtapi_ceph_mon { "${cluster}/${mon_name}":
      fsid      => $described['fsid'],
      addresses => virtapi::ceph_addresses($address, $port),
      mons      => $described['mons'].reduce({}) |$found, $mon| {
        $found + { $mon['name'] => virtapi::ceph_addresses($mon['address'], $mon['port']) }
      },
      bootstrap => $cluster in $virtapi::ceph::bootstrap,
      init      => $virtapi::ceph::init,
    }
    virtapi_ceph_mgr { "${cluster}/${mon_name}":
      init => $virtapi::ceph::init,
    }

    $described['pools'].each |$pool| {
      virtapi_ceph_pool { "${cluster}/${pool['name']}":
        size        => $pool['size'],
        min_size    => $pool['min_size'],
        pg_num      => $pool['pg_num'],
        application => 'rbd',
      }
    }

    if 'client' in $keys {
      $allowed = $described['pools'].map |$pool| {
        $pool['name'] ? {
          /\A[\w.-]+\z/ => "profile rbd pool=${pool['name']}",
          default       => "profile rbd pool=\"${pool['name']}\"",
        }
      }
      $of_pools = $allowed.empty ? {
        true    => {},
        default => { 'osd' => $allowed.join(', ') },
      }
      virtapi_ceph_keyring { "${cluster}/client.${virtapi::ceph::rbd_user}":
        key  => Sensitive($keys['client']),
        caps => { 'mon' => 'profile rbd' } + $of_pools,
      }
    }
  }
}
