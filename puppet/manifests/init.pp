# @summary A node that virtapi describes: which one it is, in which version, and with which roles.
#
# The parameters come from Hiera and have no defaults: without its data a node gets no catalog. The class manages
# nothing; it puts the data into the catalog, checked, for the classes that do.
#
# @param meta The version of the node's document.
# @param node The node itself with its network.
# @param roles What the node is for.
class virtapi (
  Virtapi::Meta        $meta,
  Virtapi::Node        $node,
  Array[Virtapi::Role] $roles,
) {
}
