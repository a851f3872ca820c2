# @summary The full host name of a node.
type Virtapi::Fqdn = Pattern[/\A[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*\z/]
