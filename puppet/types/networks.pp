# @summary The networks of a node by purpose; null where it has none.
type Virtapi::Networks = Struct[{
  NotUndef[management] => Optional[Virtapi::Network],
  NotUndef[storage]    => Optional[Virtapi::Network],
  NotUndef[backup]     => Optional[Virtapi::Network],
}]
