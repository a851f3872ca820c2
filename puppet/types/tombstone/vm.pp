# @summary A virtual machine that was removed.
type Virtapi::Tombstone::Vm = Struct[{
  NotUndef[name] => Optional[String[1]],
  domain         => Pattern[/\Avm-[1-9]\d*\z/],
  not_before     => Virtapi::Timestamp,
}]
