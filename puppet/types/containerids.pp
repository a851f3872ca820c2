# @summary The first of a hypervisor's ids that containers have as their own, and how many; or `none`.
type Virtapi::ContainerIds = Variant[Enum['none'], Tuple[Integer[1], Integer[1]]]
