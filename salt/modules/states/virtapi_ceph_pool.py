"""
A pool of a Ceph cluster.

It is made, and gets more copies and more placement groups. It never gets fewer copies: that is an error, and then nothing
of it is touched. Nothing takes a pool away. docs/convergence.md has the rules.
"""

import re

import virtapi_ceph_plan
from salt.exceptions import CommandExecutionError

# Its cluster, and its name there.
_NAME = r"([^/\s.-][^/\s]*)/([^/-][^/]*)"


def mod_init(low):
    """Begin a run without what an earlier one knew."""
    __salt__["virtapi_ceph_pool.forget"]()
    return True


def present(name, size, min_size, pg_num, application="rbd"):
    """
    Make sure that the pool is there, with so many copies and placement groups.

    name
        Its cluster and its name there: ``ceph/rbd``.
    size, min_size
        How many copies there are, and how many there must be to write.
    pg_num
        How many placement groups it has. It may have more, and where Ceph counts them itself (``pg_autoscale_mode``), any
        number.
    application
        What it is for, where it is for nothing yet.
    """
    ret = {"name": name, "result": False, "changes": {}, "comment": ""}
    named = re.fullmatch(_NAME, name)
    if not named:
        return dict(ret, comment="{} is no name of a pool: CLUSTER/NAME".format(name))
    cluster, pool = named.groups()
    wanted = {"size": size, "min_size": min_size, "pg_num": pg_num, "application": application}
    try:
        found = __salt__["virtapi_ceph_pool.pools"](cluster).get(pool)
        changes = _changes(name, found, wanted) if found else {"pool": {"old": "absent", "new": "present"}}
        if not changes:
            return dict(ret, result=True, comment="{} is as it should be".format(name))
        if __opts__["test"]:
            return dict(ret, result=None, changes=changes, comment="{} would be changed".format(name))
        if not found:
            __salt__["virtapi_ceph_pool.create"](cluster, pool, size, pg_num)
        for value in ["min_size"] if not found else [value for value in changes if value != "application"]:
            __salt__["virtapi_ceph_pool.set_value"](cluster, pool, value, wanted[value])
        if not found or "application" in changes:
            __salt__["virtapi_ceph_pool.enable"](cluster, pool, application)
    except (CommandExecutionError, OSError) as error:
        return dict(ret, comment=str(error))
    return dict(ret, result=True, changes=changes, comment="{} is changed".format(name))


def _changes(name, found, wanted):
    reason = virtapi_ceph_plan.pool_size(found["size"], wanted["size"])
    if reason:
        raise CommandExecutionError("pool {} {}".format(name, reason))
    changes = {}
    for value in ("size", "min_size"):
        if found[value] != wanted[value]:
            changes[value] = {"old": found[value], "new": wanted[value]}
    if not virtapi_ceph_plan.pg_num_right(found["pg_num"], wanted["pg_num"], found["autoscale"]):
        changes["pg_num"] = {"old": found["pg_num"], "new": wanted["pg_num"]}
    if not found["applications"]:
        changes["application"] = {"old": None, "new": wanted["application"]}
    return changes
