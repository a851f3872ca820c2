# @summary A VLAN with its tag, or a VXLAN with its VNI.
type Virtapi::Vlan = Variant[
  Struct[{ name => String[1], tag => Integer[1, 4094], NotUndef[vni] => Undef }],
  Struct[{ name => String[1], NotUndef[tag] => Undef, vni => Integer[0, 16777215] }],
]
