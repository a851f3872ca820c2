"""
An OSD of a Ceph cluster: one disk, known by its UUID.

It is made on a device that is blank, and nothing erases one. One that the cluster knows and that is not here any more is not
made anew: it is lost, and an empty one would hide that. One that people have taken out stays out. It is taken away step by
step, and none of them waits. docs/convergence.md has the rules.
"""

import re

import virtapi_ceph_command
import virtapi_ceph_plan
import virtapi_domain_xml
import virtapi_removal_share
from salt.exceptions import CommandExecutionError

_ABSENT = {"old": "absent", "new": "present"}
_REFUSED = "{} would be removed, and at most {} per cent are at the same time: none is. {}"
_REMOVALS = {
    "out": ("in", "out", "out; its data moves away, and a later run purges it"),
    "purge": ("out", "absent", "purged"),
    "clear": ("purged", "absent", "cleared away"),
}


def mod_init(low):
    """Begin a run without what an earlier one knew."""
    __salt__["virtapi_ceph_osd.forget"]()
    return True


def present(name, osd, store="device", init="systemd"):
    """
    Make sure that the OSD is there, and up.

    name
        The OSD's UUID, which Ceph calls its fsid.
    osd
        The OSD as the document has it. One that is there may have got another device since.
    store
        Where its data is: on the ``device``; or, for tests, in a ``file`` of its directory or in ``memory``.
    init
        How it is started: by ``systemd``, or ``direct``.
    """
    ret = {"name": name, "result": False, "changes": {}, "comment": ""}
    if not re.fullmatch(virtapi_domain_xml.UUID, name):
        return dict(ret, comment="{} is no UUID".format(name))
    try:
        one = _Osd(name, osd, store, init)
        step = None if one.here else one.beginning()
        changes = {"osd": _ABSENT} if step else one.differences()
        if not changes:
            return dict(ret, result=True, comment="{} is up".format(one.label))
        if __opts__["test"]:
            return dict(ret, result=None, changes=changes, comment="{} would be changed".format(one.label))
        if step:
            one.make(step)
            ret["changes"] = changes
        elif "device_class" in changes:
            _ceph("set_class", one.cluster, one.number, osd["device_class"])
            ret["changes"] = {"device_class": changes["device_class"]}
        if (step or "state" in changes) and not _ceph("bring_up", one.cluster, one.number, init):
            raise CommandExecutionError("{} runs, and the cluster does not have it up".format(one.label))
    except (CommandExecutionError, OSError) as error:
        return dict(ret, comment=str(error))
    return dict(ret, result=True, changes=changes, comment="{} is up".format(one.label))


def absent(name, cluster, osds, meta, fqdn, max_removals=20, init="systemd"):
    """
    Take the OSD away, one step in each run: out, then, when Ceph says that it is safe, purged.

    It never waits; a warning says what it would wait for. Where more than ``max_removals`` per cent of the node's OSDs are
    to go, none does, until that generation of the document is approved.

    name
        The OSD's UUID.
    cluster
        The cluster's name.
    osds
        All of the node, as UUIDs with their clusters: ``present`` those of the document, ``absent`` those that are to go.
    meta
        The document's version, which says whether somebody has approved it: ``virtapi:meta``.
    fqdn
        The node as the server knows it.
    max_removals
        How many per cent of the node's OSDs may be on their way out at the same time; but always one.
    init
        How it was started: by ``systemd``, or ``direct``.
    """
    ret = {"name": name, "result": False, "changes": {}, "comment": ""}
    if not re.fullmatch(virtapi_domain_xml.UUID, name):
        return dict(ret, comment="{} is no UUID".format(name))
    try:
        one = _Osd(name, {"cluster": cluster}, None, init)
        _refuse_too_many(osds, meta, fqdn, max_removals)
        step = virtapi_ceph_plan.osd_removal(one.known, bool(one.here), lambda: _ceph("unsafe", cluster, one.number))
        if step is None:
            return dict(ret, result=True, comment="{} is not there".format(one.label))
        kind, reason = step
        if not virtapi_ceph_command.known(cluster):
            message = "{}: there is no key on this node to ask cluster {} with"
            raise CommandExecutionError(message.format(one.label, cluster))
        if kind == "wait":
            warning = "{} is out and still needed: {}. The next run looks again".format(one.label, reason)
            return dict(ret, result=True, comment="{} is out".format(one.label), warnings=[warning])
        old, new, done = _REMOVALS[kind]
        changes = {one.label: {"old": old, "new": new}}
        if __opts__["test"]:
            return dict(ret, result=None, changes=changes, comment="{} would be {}".format(one.label, done))
        one.remove(kind)
    except (CommandExecutionError, OSError) as error:
        return dict(ret, comment=str(error))
    return dict(ret, result=True, changes=changes, comment="{}: {}".format(one.label, done))


def _ceph(function, *arguments):
    return __salt__["virtapi_ceph_osd." + function](*arguments)


def _refuse_too_many(osds, meta, fqdn, max_removals):
    """Together they would take more away than a person has looked at."""
    there = {
        which: sum(uuid in _ceph("known", cluster) or uuid in _ceph("here", cluster) for uuid, cluster in each.items())
        for which, each in osds.items()
    }
    many = virtapi_removal_share.excess(there["absent"], there["absent"] + there["present"], "OSDs", max_removals)
    if many and meta.get("approved") is not True:
        raise CommandExecutionError(_REFUSED.format(many, max_removals, virtapi_removal_share.how_to_approve(fqdn, meta)))


class _Osd:
    """One OSD, as it should be and as it was found."""

    def __init__(self, uuid, osd, store, init):
        self.uuid = uuid
        self.osd = osd
        self.store = store
        self.init = init
        self.cluster = osd["cluster"]
        self.known = _ceph("known", self.cluster).get(uuid)
        self.here = _ceph("here", self.cluster).get(uuid)
        found = self.here or self.known
        self.number = found["osd"] if found else None

    @property
    def label(self):
        return "osd.{} ({})".format(self.known["osd"], self.uuid) if self.known else "the OSD {}".format(self.uuid)

    def beginning(self):
        """Return how it comes to be here, or raise."""
        on_device = self.store == "device"
        contents = _ceph("contents", self.osd["device"]) if on_device else None
        step, reason = virtapi_ceph_plan.osd_beginning(self.uuid, self.known, contents)
        if step == "refuse":
            raise CommandExecutionError("{}: {}".format(self.label, reason))
        database = self.osd["db_device"]
        found = _ceph("contents", database) if step == "new" and on_device and database else None
        if found:
            message = "{}: {} is not blank: {}. Nothing here erases a disk"
            raise CommandExecutionError(message.format(self.label, database, next(iter(found.values()))))
        return step

    def make(self, step):
        """Make it, or go on where an earlier run was interrupted, or make its directory from its device."""
        if step == "new":
            self.number = _ceph("announce", self.cluster, self.uuid, self.osd["device_class"])
        _ceph("adopt" if step == "adopt" else "make", self.cluster, self.number, self.osd, self.store)

    def differences(self):
        """Return what has to change of one that is here, with what it is and what it shall be."""
        changes = {}
        wanted, found = self.osd["device_class"], (self.known or {}).get("device_class")
        if wanted and wanted != found:
            changes["device_class"] = {"old": found, "new": wanted}
        running = _ceph("running", self.cluster, self.number, self.init)
        if not running or not self.known or self.known["up"] != 1:
            changes["state"] = {"old": "down" if running else "stopped", "new": "up"}
        return changes

    def remove(self, step):
        """Do one step of taking it away."""
        if step == "out":
            _ceph("take_out", self.cluster, self.number)
        elif step == "purge":
            _ceph("purge", self.cluster, self.uuid, self.known["osd"], self.init)
        else:
            _ceph("clear", self.cluster, self.uuid, self.init)
