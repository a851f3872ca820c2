# @summary What a hypervisor needs of the clusters whose pools its machines use: the key, and libvirt's secret.
#
# Of a cluster that the site has given no key `client` of, the site provides these itself.
#
# @param user The Ceph user.
class virtapi::ceph::client (
  String[1] $user,
) {
  include virtapi::ceph

  if $virtapi::ceph::manage {
    # A monitor on the same node has the key as well, and tells the cluster of it.
    if 'ceph_mon' in $virtapi::roles {
      include virtapi::ceph::mon
    }
    $virtapi::ceph::keys.unwrap.filter |$name, $keys| { $name in $virtapi::ceph::clusters and 'client' in $keys }
    .each |$name, $keys| {
      unless defined(Virtapi_ceph_keyring["${name}/client.${user}"]) {
        virtapi_ceph_keyring { "${name}/client.${user}":
          key => Sensitive($keys['client']),
        }
      }
      virtapi_ceph_secret { $virtapi::ceph::clusters[$name]['fsid']:
        usage => "${name} client.${user}",
        key   => Sensitive($keys['client']),
      }
    }
  }
}
