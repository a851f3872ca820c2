"""
Master tops: the SLS files of a node, from virtapi.

.. code-block:: yaml

    # master configuration (masterless: minion configuration)
    module_dirs: [/srv/virtapi/salt/modules]
    virtapi:
      url: https://virtapi.example.com
    master_tops:
      virtapi: {}

All settings are described in ``utils/virtapi_client.py``.

Salt logs an exception of a tops module and goes on without it, so a highstate would run whatever else is assigned to
the minion and skip what virtapi assigns. Therefore a failure names an SLS file that refuses to render
(``virtapi/unavailable.sls``; Salt refuses as well when that file is missing): one SLS file that fails stops the whole
highstate before its first state.

The minion's id comes from the minion's own request. What it can learn by lying are the names of another node's SLS
files; data come from the pillar alone, whose id Salt has authenticated.
"""

import logging

import salt.loader

log = logging.getLogger(__name__)

UNAVAILABLE = {"base": ["virtapi.unavailable"]}


def top(**kwargs):
    """Return ``{environment: [SLS names]}`` for the minion of ``kwargs["opts"]``."""
    try:
        options = __opts__["master_tops"]["virtapi"]
        fetch = salt.loader.utils(__opts__)["virtapi_client.fetch"]
        document = fetch("tops", kwargs["opts"]["id"], check, options)
    except Exception as error:  # pylint: disable=broad-except
        log.error("virtapi could not say what runs on this minion: %s", error)
        raise
    return {document["environment"]: list(document["classes"])}


def check(document):
    """Raise unless this names an environment and at least one class."""
    if not isinstance(document, dict) or not isinstance(document.get("classes"), dict) or not document["classes"]:
        raise ValueError("classes is missing or empty")
    if not isinstance(document.get("environment"), str) or not document["environment"]:
        raise ValueError("environment is missing")
