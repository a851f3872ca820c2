# @summary A network interface of a node.
type Virtapi::Interface = Struct[{
  NotUndef[name] => Optional[String[1, 15]],
  mac            => Virtapi::Mac,
  NotUndef[bond] => Optional[String[1, 15]],
  vlans          => Array[Virtapi::Vlan],
  addresses      => Array[Virtapi::Cidr],
}]
