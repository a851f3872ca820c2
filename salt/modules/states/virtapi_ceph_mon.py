"""
A monitor of a Ceph cluster.

One without data joins the cluster that answers at the document's addresses. Where none answers, a new one is made with the
monitors of the document, if the site says so: a cluster that is down looks like one that is not there. docs/convergence.md
has the rules.
"""

import re

import virtapi_ceph_command
import virtapi_ceph_conf
from salt.exceptions import CommandExecutionError


def present(name, mon, cluster, bootstrap=False, init="systemd"):
    """
    Make sure that the monitor is there, runs, and is in quorum.

    name
        Its cluster and its name there: ``ceph/st01``.
    mon
        The monitor as the document has it.
    cluster
        The cluster as the document has it. The keys ``mon.`` and ``client.admin`` must be in their files: require them.
    bootstrap
        Whether the cluster is made where none answers.
    init
        How it is started: by ``systemd``, or ``direct``.
    """
    ret = {"name": name, "result": False, "changes": {}, "comment": ""}
    named = re.fullmatch(virtapi_ceph_command.NAME, name)
    if not named:
        return dict(ret, comment="{} is no name of a monitor: CLUSTER/NAME".format(name))
    others = [other["name"] for other in cluster["mons"] if other["name"] != mon["name"]]
    try:
        if not _mon("exists", *named.groups()):
            changes = {"monitor": {"old": "absent", "new": "present"}}
            step = _beginning(named, cluster, bootstrap)
        else:
            changes = _changes(name, mon, cluster, _mon("look", *named.groups()))
            step = None
        if not changes:
            return dict(ret, result=True, comment="{} is in quorum".format(name))
        if __opts__["test"]:
            return dict(ret, result=None, changes=changes, comment="{} would be brought into quorum".format(name))
        if step:
            _mon("make", *named.groups(), cluster, step)
            ret["changes"] = changes
        _mon("bring_into_quorum", *named.groups(), init, others)
    except (CommandExecutionError, OSError) as error:
        return dict(ret, comment=str(error))
    return dict(ret, result=True, changes=changes, comment="{} is in quorum".format(name))


def absent(name, init="systemd"):
    """
    Make sure that the monitor is not there: it is taken out of its cluster, if the others have quorum without it.

    name
        Its cluster and its name there: ``ceph/st01``.
    init
        How it was started: by ``systemd``, or ``direct``.
    """
    ret = {"name": name, "result": False, "changes": {}, "comment": ""}
    named = re.fullmatch(virtapi_ceph_command.NAME, name)
    if not named:
        return dict(ret, comment="{} is no name of a monitor: CLUSTER/NAME".format(name))
    try:
        if not _mon("exists", *named.groups()):
            return dict(ret, result=True, comment="{} is not there".format(name))
        reason = _mon("removal", *named.groups())
        if reason:
            raise CommandExecutionError("{} is not taken away: {}".format(name, reason))
        changes = {"monitor": {"old": "present", "new": "absent"}}
        if __opts__["test"]:
            return dict(ret, result=None, changes=changes, comment="{} would be taken away".format(name))
        _mon("remove", *named.groups(), init)
    except (CommandExecutionError, OSError) as error:
        return dict(ret, comment=str(error))
    return dict(ret, result=True, changes=changes, comment="{} is taken away".format(name))


def _mon(function, *arguments):
    return __salt__["virtapi_ceph_mon." + function](*arguments)


def _beginning(named, cluster, bootstrap):
    """Return how it begins; None in a dry run on a node that has no key yet to ask the others with."""
    if __opts__["test"] and not virtapi_ceph_command.known(named.group(1)):
        return None
    step, reason = _mon("beginning", named.group(1), cluster["fsid"], bootstrap)
    if step == "refuse":
        raise CommandExecutionError("{}: {}".format(named.group(0), reason))
    return step


def _changes(name, mon, cluster, found):
    """Raise where it is another one; what cannot be looked at, for it does not run, is not wrong."""
    if found["fsid"] not in (None, cluster["fsid"]):
        message = "{} is a monitor of another cluster: {}, and not {}"
        raise CommandExecutionError(message.format(name, found["fsid"], cluster["fsid"]))
    wanted = virtapi_ceph_conf.addresses(mon["address"], mon["port"])
    if found["address"] not in (None, wanted):
        message = (
            "{} listens at {}, and is to listen at {}: a monitor does not move. Take it away where it is, and make one with "
            "another name"
        )
        raise CommandExecutionError(message.format(name, found["address"], wanted))
    return {} if found["state"] == "quorum" else {"state": {"old": found["state"], "new": "quorum"}}
