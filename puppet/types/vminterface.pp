# @summary A network interface of a virtual machine, with the hypervisor's bridge that it is attached to.
type Virtapi::VmInterface = Struct[{
  NotUndef[name] => Optional[String[1, 15]],
  bridge         => Pattern[/\Abr[0-9a-f-]{1,13}\z/],
  mac            => Virtapi::Mac,
  vlans          => Array[Virtapi::Vlan],
  addresses      => Array[Virtapi::Cidr],
  Optional[mtu]  => Optional[Integer[68, 65535]],
}]
