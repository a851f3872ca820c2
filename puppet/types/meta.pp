# @summary The version of a node's document.
type Virtapi::Meta = Struct[{
  schema     => Integer[1],
  node_id    => Integer[1],
  generation => Integer[1],
  clusters   => Hash[String[1], Integer[1]],
}]
