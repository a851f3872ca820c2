# @summary An IPv4 or IPv6 address, or network, with its prefix length.
type Virtapi::Cidr = Pattern[
  /\A\d{1,3}(\.\d{1,3}){3}\/([0-9]|[12][0-9]|3[0-2])\z/,
  /\A(?=.*:)[0-9a-f:.]{2,45}\/([0-9]|[1-9][0-9]|1[01][0-9]|12[0-8])\z/,
]
