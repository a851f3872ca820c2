# @summary A limit per second; null is no limit.
type Virtapi::Limit = Optional[Integer[1]]
