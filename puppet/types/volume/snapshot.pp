# @summary A snapshot that is to be taken, and kept for how long; null is for ever.
type Virtapi::Volume::Snapshot = Struct[{
  name                 => String[1],
  take_at              => Virtapi::Timestamp,
  NotUndef[keep_until] => Optional[Virtapi::Timestamp],
}]
