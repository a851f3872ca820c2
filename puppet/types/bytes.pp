# @summary A size in bytes.
type Virtapi::Bytes = Integer[0]
