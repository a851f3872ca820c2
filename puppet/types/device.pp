# @summary The path of a block device.
type Virtapi::Device = Pattern[/\A\/dev\/[^\s]+\z/]
