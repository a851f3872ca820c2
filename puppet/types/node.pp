# @summary A physical server with its network.
type Virtapi::Node = Struct[{
  fqdn                  => Virtapi::Fqdn,
  NotUndef[location]    => Optional[String[1]],
  state                 => String[1],
  NotUndef[environment] => Optional[Pattern[/\A[a-z0-9_]+\z/]],
  parameters            => Hash[String, Data],
  networks              => Virtapi::Networks,
  interfaces            => Array[Virtapi::Interface],
  bonds                 => Array[Virtapi::Bond],
}]
