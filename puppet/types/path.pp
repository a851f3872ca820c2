# @summary An absolute path.
type Virtapi::Path = Pattern[/\A\/[^\x00-\x1f\x7f]*\z/]
