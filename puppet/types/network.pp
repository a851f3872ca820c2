# @summary A network that nodes are attached to.
type Virtapi::Network = Struct[{
  name           => String[1],
  NotUndef[cidr] => Optional[Virtapi::Cidr],
  NotUndef[mtu]  => Optional[Integer[68, 65535]],
  NotUndef[vlan] => Optional[Virtapi::Vlan],
}]
