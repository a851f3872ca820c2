# @summary The version of a node's document, and whether somebody has approved what this one removes.
type Virtapi::Meta = Struct[{
  schema             => Integer[1],
  node_id            => Integer[1],
  generation         => Integer[1],
  Optional[approved] => Boolean,
  clusters           => Hash[String[1], Integer[1]],
}]
