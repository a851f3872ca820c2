# @summary A MAC address in lower case with colons. What lost its quotes on the way is an integer, and refused.
type Virtapi::Mac = Pattern[/\A[0-9a-f]{2}(:[0-9a-f]{2}){5}\z/]
