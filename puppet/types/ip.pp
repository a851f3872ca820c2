# @summary An IPv4 or IPv6 address.
type Virtapi::Ip = Pattern[
  /\A\d{1,3}(\.\d{1,3}){3}\z/,
  /\A(?=.*:)[0-9a-f:.]{2,45}\z/,
]
