# @summary A hypervisor and the virtual machines that belong on it.
#
# Bridges and volumes come before the machines that use them; snapshots are taken before a machine is started or stopped. What was
# removed in virtapi goes by its tombstone; what virtapi does not know is left alone, and the report of the run names it.
#
# A machine whose method is LXC is a container, every other one a domain of libvirt.
#
# libvirt, QEMU, LXC, and what the volumes and the switch need are not installed from here: require that from this class; what seeds
# are built with is, where a machine has one. The
# keys of pools come from `virtapi::ceph::keys`, or else from the site.
#
# @param local_storage_bytes Size of the local storage for volumes; null if it is not known.
# @param local_storage_path Directory of the volumes that are files; null if there are none.
# @param vg_name LVM volume group of the volumes; null if there are none.
# @param cores Cores that virtual machines may use.
# @param ram_bytes Memory that virtual machines may use.
# @param cpu_overcommit_ratio How many virtual cores one core may carry.
# @param ram_overcommit_ratio How much virtual memory a byte may carry.
# @param virt_methods The methods that this hypervisor offers.
# @param vms The virtual machines by UUID.
# @param manage Whether to converge the machines. Without it the class only puts the data into the catalog, and the server is
#   not told that it was applied.
# @param accelerate Whether KVM may be used. Without it a machine whose method is KVM is emulated. The kernel is not asked:
#   there are some with a `/dev/kvm` in which guests hang.
# @param switch What the machines' bridges are.
# @param uplink What VLANs come by. For Linux bridges a network device, where it is not the interface or bond of the node
#   that the document has in that VLAN; for Open vSwitch the bridge that has all VLANs, which is the site's own to make.
# @param vxlan_device The network device to send VXLANs from, where it is not the one that the document has in that VLAN.
# @param vxlan_peers The addresses by which the site's hypervisors send VXLANs to one another, for Open vSwitch; this node's own
#   are left out, so that one list serves all.
# @param rbd_user The Ceph user of volumes in a pool.
# @param shutdown_timeout Seconds that a guest has to shut down.
# @param seed_packages The packages that seeds are built with, which are installed where a machine has one; empty where the site
#   does that.
# @param lxc_path The directory of all containers.
# @param container_ids The first of this hypervisor's user and group ids that containers have as their own, and how many; with
#   `none`, root in a container is root of the hypervisor.
# @param container_apparmor The AppArmor profile that containers run in.
# @param tombstones What was removed in virtapi: machines are shut down, and when their time is over deleted, as volumes are.
# @param max_removals How many per cent of the machines, and of the volumes, a run removes at most, but always one. A run that
#   would remove more removes nothing and fails, until somebody approves the document in virtapi.
class virtapi::hypervisor (
  Optional[Virtapi::Bytes]          $local_storage_bytes,
  Optional[Virtapi::Path]           $local_storage_path,
  Optional[String[1]]               $vg_name,
  Integer[1]                        $cores,
  Virtapi::Bytes                    $ram_bytes,
  Numeric                           $cpu_overcommit_ratio,
  Numeric                           $ram_overcommit_ratio,
  Array[String[1]]                  $virt_methods,
  Hash[Virtapi::Uuid, Virtapi::Vm]  $vms,
  Boolean                           $manage             = true,
  Boolean                           $accelerate         = true,
  Enum['linux', 'openvswitch']      $switch             = 'linux',
  Optional[String[1, 15]]           $uplink             = undef,
  Optional[String[1, 15]]           $vxlan_device       = undef,
  Array[Virtapi::Ip]                $vxlan_peers        = [],
  String[1]                         $rbd_user           = 'libvirt',
  Integer[1]                        $shutdown_timeout   = 60,
  Array[String[1]]                  $seed_packages      = ['xorriso'],
  Virtapi::Path                     $lxc_path           = '/var/lib/lxc',
  Virtapi::ContainerIds             $container_ids      = [1000000, 65536],
  String[1]                         $container_apparmor = 'generated',
  Virtapi::Tombstones               $tombstones         = { 'vms' => {}, 'volumes' => {} },
  Integer[1, 100]                   $max_removals       = 20,
) {
  include virtapi

  if $manage {
    # The device of each VLAN and VXLAN on this node, by name.
    $devices = $virtapi::node['interfaces'].reduce({}) |$found, $interface| {
      $device = $interface['bond'] ? { undef => $interface['name'], default => $interface['bond'] }
      if $device {
        $interface['vlans'].reduce($found) |$more, $vlan| { $more + { $vlan['name'] => $device } }
      } else {
        $found
      }
    }
    $volumes = $vms.values.map |$vm| { $vm['volumes'] }.flatten + $tombstones['volumes'].values
    if $volumes.any |$volume| { $volume['type'] == 'rbd' } {
      include virtapi::ceph
      $clusters = $virtapi::ceph::clusters
      class { 'virtapi::ceph::client':
        user => $rbd_user,
      }
    } else {
      $clusters = {}
    }

    $with_seed = $vms.filter |$_, $vm| { $vm['seed'] and $vm['virt_method'] !~ Enum['LXC'] }.keys
    unless $with_seed.empty {
      package { $seed_packages:
        ensure => installed,
        before => $with_seed.map |$uuid| { Virtapi_domain[$uuid] },
      }
    }

    $vms.each |$uuid, $vm| {
      $vm['interfaces'].each |$interface| {
        $own = $interface['vlans'].map |$vlan| { $devices[$vlan['name']] }[0]
        virtapi_bridge { $interface['bridge']:
          provider     => $switch,
          vlans        => $interface['vlans'],
          uplink       => $uplink ? { undef => $switch ? { 'linux' => $own, default => undef }, default => $uplink },
          vxlan_device => $vxlan_device ? { undef => $own, default => $vxlan_device },
          vxlan_peers  => $vxlan_peers,
          mtu          => $interface['mtu'],
        }
      }

      $vm['volumes'].each |$volume| {
        $place = $volume['type'] ? {
          'lvm'   => { 'provider' => 'lvm', 'place' => "${volume['vg']}/${volume['lv']}" },
          'rbd'   => {
            'provider' => 'rbd',
            'place'    => "${volume['pool']}/${volume['image']}",
            'cluster'  => $volume['cluster'],
            'mons'     => $clusters.dig($volume['cluster'], 'mons'),
            'rbd_user' => $rbd_user,
          },
          default => { 'provider' => 'file', 'place' => $volume['path'], 'backing' => $volume['backing'] },
        }
        virtapi_volume { $volume['uuid']:
          vm         => $uuid,
          type       => $volume['type'],
          size_bytes => $volume['size_bytes'],
          *          => $place,
        }
        unless $volume['snapshots'].empty {
          virtapi_snapshots { $volume['uuid']:
            vm        => $uuid,
            type      => $volume['type'],
            snapshots => $volume['snapshots'],
            restore   => $volume['restore'],
            *         => $place.filter |$name, $_| { !($name in ['provider', 'backing']) },
          }
        }
      }

      if $vm['virt_method'] =~ Enum['LXC'] {
        virtapi_container { $uuid:
          domain             => $vm['domain'],
          cores              => $vm['cores'],
          ram_bytes          => $vm['ram_bytes'],
          cputime_limit      => $vm['cputime_limit'] ? { undef => 'none', default => $vm['cputime_limit'] },
          state              => $vm['state'],
          interfaces         => $vm['interfaces'],
          volumes            => $vm['volumes'],
          gpus               => $vm['gpus'] ? { undef => [], default => $vm['gpus'] },
          seed               => Sensitive($vm['seed'] ? { undef => 'none', default => unwrap($vm['seed']) }),
          restarts           => $vm['restarts'],
          security_rules     => $vm['security_rules'] ? { undef => 'none', default => $vm['security_rules'] },
          lxc_path           => $lxc_path,
          container_ids      => $container_ids,
          container_apparmor => $container_apparmor,
          shutdown_timeout   => $shutdown_timeout,
        }
      } else {
        virtapi_domain { $uuid:
          domain           => $vm['domain'],
          vm_name          => $vm['name'],
          cores            => $vm['cores'],
          ram_bytes        => $vm['ram_bytes'],
          cputime_limit    => $vm['cputime_limit'] ? { undef => 'none', default => $vm['cputime_limit'] },
          virt_method      => $vm['virt_method'],
          state            => $vm['state'],
          interfaces       => $vm['interfaces'],
          volumes          => $vm['volumes'],
          gpus             => $vm['gpus'] ? { undef => [], default => $vm['gpus'] },
          seed             => Sensitive($vm['seed'] ? { undef => 'none', default => unwrap($vm['seed']) }),
          restarts         => $vm['restarts'],
          security_rules   => $vm['security_rules'] ? { undef => 'none', default => $vm['security_rules'] },
          accelerate       => $accelerate,
          switch           => $switch,
          rbd_user         => $rbd_user,
          clusters         => $clusters,
          lxc_path         => $lxc_path,
          shutdown_timeout => $shutdown_timeout,
        }
      }
    }

    virtapi_removals { $trusted['certname']:
      tombstones       => $tombstones,
      meta             => $virtapi::meta,
      max_removals     => $max_removals,
      rbd_user         => $rbd_user,
      clusters         => $clusters,
      lxc_path         => $lxc_path,
      shutdown_timeout => $shutdown_timeout,
    }

    Virtapi_observation <| title == $trusted['certname'] |> {
      hypervisor => {
        'local_storage_path' => $local_storage_path,
        'vg_name'            => $vg_name,
        'switch'             => $switch,
        'uplink'             => $uplink,
        'lxc_path'           => $lxc_path,
      },
    }
  } else {
    # Nobody here knows whether it was applied.
    Virtapi_document <| title == $trusted['certname'] |> {
      noop => true,
    }
  }
}
