"""
The pools of a Ceph cluster, by its own program. Nothing here deletes one.
"""

import salt.utils.platform
import virtapi_ceph_command

_KNOWN = "virtapi_ceph_pool.pools"


def __virtual__():
    """Only where there can be a Ceph."""
    return salt.utils.platform.is_linux() or (False, "virtapi_ceph_pool needs Linux")


def forget():
    """Ask anew when something is asked the next time."""
    __context__.pop(_KNOWN, None)


def pools(cluster):
    """
    Return all pools by name, in one question; none in a dry run on a node that has no key yet to ask with.

    Each has ``size``, ``min_size``, ``pg_num`` (what it has, or is about to have), ``autoscale`` and ``applications``.

    .. code-block:: bash

        salt '*' virtapi_ceph_pool.pools ceph
    """
    known = __context__.setdefault(_KNOWN, {})
    if cluster not in known:
        there = virtapi_ceph_command.known(cluster)
        listed = virtapi_ceph_command.ask(__salt__, cluster, "osd", "pool", "ls", "detail") if there else []
        known[cluster] = {
            pool["pool_name"]: {
                "size": pool["size"],
                "min_size": pool["min_size"],
                "pg_num": max(pool["pg_num"], pool.get("pg_num_target") or 0),
                "autoscale": pool["pg_autoscale_mode"],
                "applications": sorted(pool["application_metadata"]),
            }
            for pool in listed
        }
    return known[cluster]


def create(cluster, pool, size, pg_num):
    """Make a pool."""
    _run(cluster, "create", pool, pg_num, "--size", size)


def set_value(cluster, pool, name, value):
    """Set ``size``, ``min_size`` or ``pg_num``."""
    _run(cluster, "set", pool, name, value)


def enable(cluster, pool, application):
    """Say what it is for."""
    _run(cluster, "application", "enable", pool, application)


def _run(cluster, *words):
    virtapi_ceph_command.run(__salt__, cluster, "osd", "pool", *words)
    forget()
