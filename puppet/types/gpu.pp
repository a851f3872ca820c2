# @summary A PCI device of a hypervisor that a virtual machine has for its own.
type Virtapi::Gpu = Struct[{
  address => Pattern[/\A[0-9a-f]{4}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]\z/],
}]
