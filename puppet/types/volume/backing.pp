# @summary A golden image that many volumes share read-only.
type Virtapi::Volume::Backing = Struct[{
  name               => String[1],
  format             => Enum['qcow2', 'raw'],
  path               => Virtapi::Path,
  NotUndef[checksum] => Optional[Pattern[/\Asha256:[0-9a-f]{64}\z/, /\Asha512:[0-9a-f]{128}\z/]],
}]
