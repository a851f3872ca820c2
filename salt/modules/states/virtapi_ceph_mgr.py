"""
A manager daemon of a Ceph cluster: one runs beside each monitor. docs/convergence.md has the rules.
"""

import re

import virtapi_ceph_command
from salt.exceptions import CommandExecutionError


def present(name, init="systemd"):
    """
    Make sure that the manager is there, and runs.

    name
        Its cluster and its name there: ``ceph/st01``.
    init
        How it is started: by ``systemd``, or ``direct``.
    """
    return _managed(name, "running", init)


def absent(name, init="systemd"):
    """
    Make sure that the manager is not there, nor its key.

    name, init
        As of one that is there.
    """
    return _managed(name, "absent", init)


def _managed(name, wanted, init):
    ret = {"name": name, "result": False, "changes": {}, "comment": ""}
    named = re.fullmatch(virtapi_ceph_command.NAME, name)
    if not named:
        return dict(ret, comment="{} is no name of a manager: CLUSTER/NAME".format(name))
    try:
        found = _mgr("look", *named.groups(), init)
        if found == wanted:
            return dict(ret, result=True, comment="{} is {}".format(name, wanted))
        changes = {"manager": {"old": found, "new": wanted}}
        if __opts__["test"]:
            return dict(ret, result=None, changes=changes, comment="{} would be {}".format(name, wanted))
        if wanted == "absent":
            _mgr("remove", *named.groups(), init)
        else:
            if found == "absent":
                _mgr("make", *named.groups())
            _mgr("start", *named.groups(), init)
    except (CommandExecutionError, OSError) as error:
        return dict(ret, comment=str(error))
    return dict(ret, result=True, changes=changes, comment="{} is {}".format(name, wanted))


def _mgr(function, *arguments):
    return __salt__["virtapi_ceph_mgr." + function](*arguments)
