# @summary What may come in to a virtual machine, or go out. One whose protocol this module has never heard of must not cost the node
#   its whole catalog.
type Virtapi::SecurityRule = Struct[{
  direction                  => Enum['ingress', 'egress'],
  ethertype                  => Enum['IPv4', 'IPv6'],
  protocol                   => String[1],
  NotUndef[port_range_min]   => Optional[Integer[0, 65535]],
  NotUndef[port_range_max]   => Optional[Integer[0, 65535]],
  NotUndef[remote_ip_prefix] => Optional[Virtapi::Cidr],
}]
