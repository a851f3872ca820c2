# @summary Where a monitor listens, as Ceph writes it.
#
# The document has one port, that of the first protocol; the second one is always at 3300. A monitor with port 3300 has only the
# second.
#
# @param address The monitor's address.
# @param port Its port.
# @return For example `[v2:10.1.0.11:3300,v1:10.1.0.11:6789]`.
function virtapi::ceph_addresses(Virtapi::Ip $address, Integer[1, 65535] $port) >> String[1] {
  $host = $address ? {
    /:/     => "[${address}]",
    default => $address,
  }
  if $port == 3300 {
    "[v2:${host}:3300]"
  } else {
    "[v2:${host}:3300,v1:${host}:${port}]"
  }
}
