# @summary A node that virtapi describes: which one it is, in which version, and with which roles.
#
# The parameters come from Hiera and have no defaults: without its data a node gets no catalog. The class itself changes
# nothing; its two resources tell the server, in the report of the run, what was applied and what is there.
#
# @param meta The version of the node's document.
# @param node The node itself with its network.
# @param roles What the node is for.
# @param max_age For how many seconds a catalog is followed. An agent that reaches no server applies its last one, and what
#   that says of machines and disks may be wrong by then: nothing of them is done.
class virtapi (
  Virtapi::Meta        $meta,
  Virtapi::Node        $node,
  Array[Virtapi::Role] $roles,
  Integer[1]           $max_age = 86400,
) {
  virtapi_document { $trusted['certname']:
    meta        => $meta,
    compiled_at => Integer(Timestamp()),
    max_age     => $max_age,
  }

  virtapi_observation { $trusted['certname']: }
}
