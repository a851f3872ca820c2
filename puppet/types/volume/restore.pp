# @summary A snapshot that the volume is to be brought back to; `number` is how often somebody has asked for that.
type Virtapi::Volume::Restore = Struct[{
  snapshot => String[1],
  number   => Integer[0],
}]
