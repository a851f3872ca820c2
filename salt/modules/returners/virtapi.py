"""
Returner: what came of a run of states, to virtapi.

A master sends what its minions return, with the token that it compiles their pillars with:

.. code-block:: yaml

    # master configuration
    module_dirs: [/srv/virtapi/salt/modules]
    virtapi:
      url: https://virtapi.example.com
      token_file: /etc/salt/virtapi.token
    event_return: [virtapi]
    event_return_whitelist: [salt/job/*/ret/*]

A masterless minion sends its own, with ``return: virtapi`` in its configuration or ``--return virtapi``.

What cannot be sent is in Salt's log, and is not tried again: the next run tells what is then. All settings are described
in ``utils/virtapi_client.py``.
"""

import fnmatch
import logging

import salt.loader
from salt.exceptions import CommandExecutionError

log = logging.getLogger(__name__)

__virtualname__ = "virtapi"


def __virtual__():
    return __virtualname__


def returner(ret):
    """Send what a function returned, if that was states."""
    # Of what else minions are asked the server keeps nothing.
    if ret.get("fun", "").startswith("state."):
        _send(ret)


def event_return(events):
    """Send the returns among these events of the master's bus, each by itself: that one is refused concerns no other."""
    for event in events:
        if not fnmatch.fnmatch(event.get("tag", ""), "salt/job/*/ret/*"):
            continue
        try:
            returner(event["data"])
        except CommandExecutionError as error:
            log.error("virtapi was not told what %s returned: %s", event["data"].get("id"), error)


def _send(ret):
    salt.loader.utils(__opts__)["virtapi_client.send"]("returns", ret)
