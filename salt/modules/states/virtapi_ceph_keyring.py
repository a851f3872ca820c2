"""
A key of a Ceph cluster: in a file that only root reads; that of those who use pools in the cluster as well.

Nothing takes a key away, and nobody is shown one. docs/convergence.md has the rules.
"""

import re

import virtapi_ceph_command
import virtapi_ceph_keyfile
from salt.exceptions import CommandExecutionError

_MODE = "0600"


def mod_init(low):
    """Begin a run without what an earlier one knew."""
    __salt__["virtapi_ceph_key.forget"]()
    return True


def present(name, key, pools=None):
    """
    Make sure that the key is in its file, and that the cluster knows what it may do.

    name
        The cluster and whose key it is: ``ceph/client.libvirt``.
    key
        Which of the site's keys of that cluster (``virtapi_ceph:keys``): ``mon``, ``admin`` or ``client``.
    pools
        The pools that it may use, as the document has them. With them the cluster is told of it, which needs the
        administrator's key on this node.
    """
    ret = {"name": name, "result": False, "changes": {}, "comment": ""}
    named = re.fullmatch(virtapi_ceph_command.NAME, name)
    if not named:
        return dict(ret, comment="{} is no name of a key: CLUSTER/ENTITY".format(name))
    which = (*named.groups(), key)
    caps = None if pools is None else virtapi_ceph_keyfile.pool_caps(pools)
    try:
        found = __salt__["virtapi_ceph_key.look"](*which, caps=caps)
        changes = _changes(found, caps)
        if not changes:
            return dict(ret, result=True, comment="{} is as it should be".format(name))
        if __opts__["test"]:
            return dict(ret, result=None, changes=changes, comment="{} would be changed".format(name))
        if not {"key", "keyring", "mode"}.isdisjoint(changes):
            __salt__["virtapi_ceph_key.write"](*which)
        if caps and not {"key", "keyring", "caps"}.isdisjoint(changes):
            __salt__["virtapi_ceph_key.tell"](*which, caps)
    except (CommandExecutionError, OSError) as error:
        return dict(ret, comment="{}: {}".format(name, error))
    return dict(ret, result=True, changes=changes, comment="{} is changed".format(name))


def _changes(found, caps):
    changes = {}
    if found["mode"] is None:
        changes["keyring"] = {"old": "absent", "new": "present"}
    elif not found["key"]:
        # Nobody is shown it.
        changes["key"] = {"old": "[redacted]", "new": "[redacted]"}
    elif found["mode"] != _MODE:
        changes["mode"] = {"old": found["mode"], "new": _MODE}
    if caps and found["caps"] != caps:
        changes["caps"] = {"old": found["caps"], "new": caps}
    return changes
