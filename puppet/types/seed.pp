# @summary The files of a NoCloud seed by name, as cloud-init in the guest reads them.
type Virtapi::Seed = Hash[Pattern[/\A[a-z-]+\z/], String, 1]
