# @summary The Ceph clusters that this node serves or uses.
#
# It writes the settings of each cluster that the site has given keys of. Ceph itself is not installed from here: require
# that from this class.
#
# @param clusters The clusters by name, with their monitors and pools.
# @param manage Whether to converge what the document says of Ceph on this node. Without it the classes only put the data into
#   the catalog, and the server is not told that a storage node's document was applied.
# @param init How daemons are started: as units of systemd, or directly where there is none.
# @param keys The keys that each cluster begins with. A storage node needs `mon` (on monitors) and `admin`, a hypervisor
#   `client`; a hypervisor without it has its settings and keys from the site. Sensitive, whatever the site gives.
# @param bootstrap Clusters that are to be made where none answers. A cluster that is down looks like one that is not there:
#   take the name out when the cluster is up.
# @param settings More settings of Ceph by section, for all clusters of this node.
# @param rbd_user The Ceph user of hypervisors, which the monitors let use the pools of the document: the same as
#   `virtapi::hypervisor::rbd_user`.
class virtapi::ceph (
  Hash[String[1], Virtapi::Ceph::Cluster]          $clusters,
  Boolean                                          $manage    = true,
  Enum['systemd', 'direct']                        $init      = 'systemd',
  Sensitive[Hash[String[1], Virtapi::Ceph::Keys]]  $keys      = Sensitive({}),
  Array[String[1]]                                 $bootstrap = [],
  Hash[String[1], Hash[String[1], Scalar]]         $settings  = {},
  String[1]                                        $rbd_user  = 'libvirt',
) {
  include virtapi

  if $manage {
    $known = $keys.unwrap
    $clusters.filter |$name, $_| { $name in $known }.each |$name, $cluster| {
      virtapi_ceph_cluster { $name:
        mons   => $cluster['mons'],
        before => File["/etc/ceph/${name}.conf"],
      }
      file { "/etc/ceph/${name}.conf":
        ensure  => file,
        owner   => 'root',
        group   => 'root',
        mode    => '0644',
        content => epp('virtapi/ceph.conf.epp', { 'cluster' => $cluster, 'settings' => $settings }),
      }

      # Storage nodes act as the administrator.
      $serves = $virtapi::roles.any |$role| { $role in ['ceph_mon', 'ceph_osd'] }
      if $serves and 'admin' in $known[$name] {
        virtapi_ceph_keyring { "${name}/client.admin":
          key => Sensitive($known[$name]['admin']),
        }
      }
    }
  } elsif $virtapi::roles.any |$role| { $role in ['ceph_mon', 'ceph_osd'] } {
    # Nobody here knows whether it was applied.
    Virtapi_document <| title == $trusted['certname'] |> {
      noop => true,
    }
  }
}
