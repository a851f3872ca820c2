# @summary A virtual machine. `domain` is what libvirt or LXC calls it: names are unique for their owner only.
type Virtapi::Vm = Struct[{
  name                     => String[1],
  domain                   => Pattern[/\Avm-[1-9]\d*\z/],
  cores                    => Integer[1],
  ram_bytes                => Virtapi::Bytes,
  NotUndef[cputime_limit]  => Optional[Integer[1, 100]],
  virt_method              => String[1],
  state                    => String[1],
  interfaces               => Array[Virtapi::VmInterface],
  volumes                  => Array[Virtapi::Volume],
  Optional[seed]           => Optional[Variant[Virtapi::Seed, Sensitive[Virtapi::Seed]]],
  Optional[security_rules] => Optional[Array[Virtapi::SecurityRule]],
  Optional[gpus]           => Optional[Array[Virtapi::Gpu]],
  Optional[restarts]       => Optional[Integer[0]],
}]
