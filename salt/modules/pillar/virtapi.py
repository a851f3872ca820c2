"""
External pillar: the document of a node, from virtapi, under the one key ``virtapi``.

.. code-block:: yaml

    # master configuration (masterless: minion configuration)
    module_dirs: [/srv/virtapi/salt/modules]
    virtapi:
      url: https://virtapi.example.com
    ext_pillar:
      - virtapi: {}

All settings are described in ``utils/virtapi_client.py``.

The pillar is whole or there is none: an exception here becomes a pillar error, and a minion with a pillar error runs
no state. It is never empty, for Salt takes an empty pillar for a good one.
"""

import salt.loader


def ext_pillar(minion_id, pillar, **options):
    """Return ``{"virtapi": {...}}`` for a minion, or raise."""
    # Salt merges what is returned over what is there, map by map. What is there may be the document of last time (3008,
    # masterless, compiles a new pillar on top of the old one), and merged with that a deleted VM would live on.
    pillar.pop("virtapi", None)
    fetch = salt.loader.utils(__opts__)["virtapi_client.fetch"]
    return fetch("pillar", minion_id, lambda document: check(document, minion_id), options)


def check(document, minion_id):
    """Raise unless this is the document of that node."""
    if not isinstance(document, dict) or set(document) != {"virtapi"}:
        raise ValueError("not an object with the one key 'virtapi'")
    node = document["virtapi"]
    for key, kind in (("meta", dict), ("node", dict), ("roles", list)):
        if not isinstance(node, dict) or not isinstance(node.get(key), kind):
            raise ValueError("virtapi.{} is missing".format(key))
    for key in ("schema", "node_id", "generation"):
        if type(node["meta"].get(key)) is not int:
            raise ValueError("virtapi.meta.{} is missing".format(key))
    fqdn = node["node"].get("fqdn")
    if not isinstance(fqdn, str) or fqdn.lower() != minion_id.lower():
        raise ValueError("the document of another node: {!r}".format(fqdn))
