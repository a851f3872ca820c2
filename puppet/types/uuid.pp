# @summary A UUID in lower case.
type Virtapi::Uuid = Pattern[/\A[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\z/]
