# @summary One Ceph OSD daemon and its devices.
type Virtapi::Ceph::Osd = Struct[{
  cluster                => String[1],
  uuid                   => Virtapi::Uuid,
  device                 => Virtapi::Device,
  NotUndef[db_device]    => Optional[Virtapi::Device],
  NotUndef[device_class] => Optional[String[1]],
}]
