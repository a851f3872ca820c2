# @summary A point in time, RFC 3339 in UTC.
type Virtapi::Timestamp = Pattern[/\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z\z/]
