"""
What may be done to a cluster of Ceph, from what it says of itself. It decides; it does nothing, and asks nobody.

docs/convergence.md has the rules. A step is its kind with a detail, which for ``refuse`` and ``wait`` says why.
"""


def mon_beginning(fsid, cluster_fsid, bootstrap, traces):
    """
    Return how a monitor that has no data here begins.

    cluster_fsid
        What the cluster says it is; None when no monitor answers.
    bootstrap
        Whether the site says that the cluster is to be made.
    traces
        Directories here of daemons of this cluster.
    """
    if cluster_fsid == fsid:
        return "join", None
    if cluster_fsid:
        return "refuse", "the monitors there are those of another cluster: {}, and not {}".format(cluster_fsid, fsid)
    if not bootstrap:
        reason = (
            "no monitor answers. That does not mean that there is no cluster: it is made only where the site says so "
            "(virtapi_ceph:bootstrap)"
        )
        return "refuse", reason
    if traces:
        reason = "no monitor answers, and there was a cluster: {} is here. None is made in its place"
        return "refuse", reason.format(", ".join(traces))
    return "bootstrap", None


def mon_removal(status, name):
    """
    Return why a monitor may not be removed; None when it may.

    ``status`` is what ``ceph quorum_status`` says, None without quorum.
    """
    if status is None:
        return "there is no quorum"
    names = [mon["name"] for mon in status["monmap"]["mons"]]
    if name not in names:
        return None
    rest = len(names) - 1
    if not rest:
        return "it is the last one"
    quorum = len(set(status["quorum_names"]) - {name})
    needed = rest // 2 + 1
    if quorum >= needed:
        return None
    return "of the other {} only {} are in quorum, and {} are needed".format(rest, quorum, needed)


def osd_beginning(uuid, known, device):
    """
    Return how an OSD that has no directory here comes to have one.

    known
        What the cluster's map has of it, or None.
    device
        ``uuid`` of the OSD that the device has, or ``other``, what else; empty when it is blank; None when no device is
        needed.
    """
    device = device or {}
    own = device.get("uuid") == uuid
    if device.get("uuid") and not own:
        return "refuse", "the device is that of another OSD: {}".format(device["uuid"])
    if device.get("other"):
        return "refuse", "the device is not blank: {}. Nothing here erases a disk".format(device["other"])
    if known is None:
        if not own:
            return "new", None
        return "refuse", "the device has it, and the cluster does not: it was purged. Nothing here erases a disk"
    if "new" in known["state"]:
        # Announced, and never up: an earlier run got no further.
        return "finish", None
    if own:
        return "adopt", None
    reason = (
        "the cluster has it as osd.{}, and it is not here: it is lost. No empty one is made in its place; purge it, and "
        "give the new disk a new uuid"
    )
    return "refuse", reason.format(known["osd"])


def osd_removal(known, here, unsafe):
    """
    Return the next step of taking an OSD away; None when nothing of it is left.

    known
        What the cluster's map has of it, None when it does not have it any more.
    here
        Whether there is a directory of it.
    unsafe
        A function that says why it may not be destroyed; None when it may.
    """
    if known is None:
        return ("clear", None) if here else None
    if known["in"] == 1:
        return "out", None
    reason = unsafe()
    return ("wait", reason) if reason else ("purge", None)


def pool_size(size, wanted):
    """Return why a pool may not get this many copies; None when it may."""
    if wanted >= size:
        return None
    return "has {} copies and is to have {}: nothing here makes copies fewer".format(size, wanted)


def pg_num_right(pg_num, wanted, autoscale):
    """Return whether a pool has its placement groups: it may have more, and where Ceph counts them, any number."""
    return pg_num >= wanted or autoscale == "on"
