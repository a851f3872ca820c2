# @summary A virtual machine's block device, by the way it is stored.
type Virtapi::Volume = Variant[
  Virtapi::Volume::File,
  Virtapi::Volume::Lvm,
  Virtapi::Volume::Rbd,
]
