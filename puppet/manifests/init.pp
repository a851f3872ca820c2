# @summary A node that virtapi describes: which one it is, in which version, and with which roles.
#
# The parameters come from Hiera and have no defaults: without its data a node gets no catalog. The class itself changes
# nothing; its two resources tell the server, in the report of the run, what was applied and what is there.
#
# @param meta The version of the node's document.
# @param node The node itself with its network.
# @param roles What the node is for.
class virtapi (
  Virtapi::Meta        $meta,
  Virtapi::Node        $node,
  Array[Virtapi::Role] $roles,
) {
  virtapi_document { $trusted['certname']:
    meta => $meta,
  }

  virtapi_observation { $trusted['certname']: }
}
