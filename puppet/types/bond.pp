# @summary A bond of a node's interfaces, which it names by their MAC addresses.
type Virtapi::Bond = Struct[{
  name       => String[1, 15],
  mode       => Enum[
    'balance-rr', 'active-backup', 'balance-xor', 'broadcast', '802.3ad', 'balance-tlb', 'balance-alb'
  ],
  interfaces => Array[Virtapi::Mac],
}]
