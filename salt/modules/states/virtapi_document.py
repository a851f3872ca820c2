"""
What the server is told in the return of a run: which version of the document was applied, and what is really there.

A comment carries it, for that is what returners and the master's event bus keep. docs/convergence.md has the form.
"""

import json
import os

import virtapi_ceph_needed
import virtapi_network_filter
import virtapi_removal_plan
from salt.exceptions import CommandExecutionError
from virtapi_container_config import METHOD
from virtapi_segment import Segment


def applied(name, meta, hypervisor=None, ceph=None):
    """
    Tell that this version of the document was applied.

    It comes after all that the document asks for, and looks at what became of that in this run: nothing is told when
    something failed or was left out (excluded, skipped by ``onlyif``, run with ``test``), nor in a dry run.

    name
        Any name.
    meta
        The document's version: ``virtapi:meta``.
    hypervisor
        The hypervisor as the document has it, where the node is one.
    ceph
        ``clusters``, ``mon`` and ``osds`` as the document has them, where the node has that role and it is managed; the names
        of the ``keys`` that the site has given of each cluster, and the ``rbd_user``.
    """
    ret = {"name": name, "result": True, "changes": {}}
    needed = _needed(hypervisor) if hypervisor else set()
    if ceph:
        needed |= virtapi_ceph_needed.needed(ceph, hypervisor)
    missing = (needed - _converged()) | _kept()
    if __opts__["test"]:
        return dict(ret, comment="a dry run applies nothing")
    if missing:
        told = ", ".join("{} {}".format(*each) for each in sorted(missing))
        return dict(ret, comment="not applied as a whole: {} failed, or was left out of this run".format(told))
    return dict(ret, comment=_note("applied", meta))


def observed(name, hypervisor=None, switch="linux", uplink=None, clusters=None, rbd_user="libvirt", ceph=None, lxc_path="/var/lib/lxc"):
    """
    Tell how the virtual machines are, what is on this hypervisor that virtapi does not know, and what is removed; of the
    clusters of Ceph that a storage node serves, the monitors in quorum, its OSDs, and what virtapi does not know.

    It looks when everything else is done, whether or not that failed, and in a dry run as well; it changes nothing.
    What could not be looked at is left out.

    name
        Any name.
    hypervisor
        The hypervisor as the document has it, where the node is one.
    switch, uplink
        As those of the bridges.
    clusters, rbd_user
        As those of the removals.
    lxc_path
        The directory of all containers.
    ceph
        Where the node serves Ceph: ``mons``, the clusters that it has a monitor of; ``osds`` that are known, as UUIDs with
        their clusters; ``pools`` that are known, as ``cluster/pool``.
    """
    ret = {"name": name, "result": True, "changes": {}, "comment": ""}

    def could_not(error):
        ret.setdefault("warnings", []).append("could not look: {}".format(error))

    seen = _look_at_hypervisor(hypervisor, switch, uplink, clusters, rbd_user, lxc_path, could_not) if hypervisor else {}
    for what, found in (_look_at_ceph(ceph, could_not) if ceph else {}).items():
        # Unmanaged things are told together.
        seen[what] = dict(seen.get(what, {}), **found)
    ret["comment"] = _note("observed", seen)
    return ret


def _look_at_hypervisor(hypervisor, switch, uplink, clusters, rbd_user, lxc_path, could_not):
    vms = hypervisor["vms"]
    tombstones = _tombstones(hypervisor)
    __salt__["virtapi_volume.forget"]()

    def attempt(look):
        try:
            return look()
        except (CommandExecutionError, OSError) as error:
            could_not(error)
            return None

    domains = attempt(__salt__["virtapi_libvirt.states"])
    containers = attempt(lambda: _containers(lxc_path))
    known = set(vms) | set(tombstones["vms"])
    machines = _machines(domains, containers)
    foreign = set(domains or {}) - known
    unmanaged = {
        "domains": None if domains is None else sorted(domains[uuid]["name"] for uuid in foreign),
        # Not told where there are none.
        "containers": sorted(name for name, each in containers.items() if each["uuid"] not in known) if containers else None,
        "bridges": attempt(lambda: _unmanaged_bridges(vms, switch, uplink)),
        "volumes": attempt(lambda: _unmanaged_volumes(hypervisor)),
    }
    seen = {
        "vms": None if machines is None else {uuid: machines[uuid]["state"] for uuid in sorted(set(machines) & set(vms))},
        "unmanaged": {what: found for what, found in unmanaged.items() if found is not None},
    }
    there, unknown = __salt__["virtapi_volume.there"](tombstones["volumes"], clusters, rbd_user)
    for reason in sorted(set(unknown.values())):
        could_not(reason)
    left = set(_left_of(tombstones["vms"])) if machines is not None else set(tombstones["vms"])
    looked_at = {
        "vms": {uuid: vm for uuid, vm in tombstones["vms"].items() if uuid not in left},
        "volumes": {uuid: volume for uuid, volume in tombstones["volumes"].items() if uuid not in unknown},
    }
    removed = virtapi_removal_plan.removed(looked_at, machines or {}, there, virtapi_removal_plan.now())
    if removed:
        seen["removed"] = removed
    return {what: found for what, found in seen.items() if found is not None}


def _containers(lxc_path):
    """Those that there are now."""
    __salt__["virtapi_lxc.forget"]()
    return __salt__["virtapi_lxc.containers"](lxc_path)


def _machines(domains, containers):
    """All by UUID; None where some could not be looked at."""
    if domains is None or containers is None:
        return None
    contained = {each["uuid"]: {"name": name, "state": each["state"]} for name, each in containers.items() if each["uuid"]}
    return dict(contained, **domains)


def _left_of(vms):
    """Those of which there is a seed or a packet filter yet."""
    filters = __salt__["virtapi_libvirt.filter_names"]() if vms else []
    return [uuid for uuid in vms if virtapi_network_filter.name_of(uuid) in filters or __salt__["virtapi_seed.images"](uuid)]


def _look_at_ceph(ceph, could_not):
    """Look at each cluster by itself; where none could be looked at, nothing is known."""
    seen = {"mons": {}, "osds": {}, "unmanaged": {"osds": [], "pools": []}}
    for cluster in sorted({*ceph["mons"], *ceph["osds"].values()}):
        pools = ceph["pools"] if cluster in ceph["mons"] else None
        try:
            found = __salt__["virtapi_ceph_osd.observe"](cluster, list(ceph["osds"]), pools)
        except (CommandExecutionError, OSError) as error:
            could_not(error)
            continue
        for what in ("mons", "osds"):
            seen[what][cluster] = found[what]
        for what in ("osds", "pools"):
            seen["unmanaged"][what].extend(found["unmanaged"][what])
    return seen if seen["mons"] else {}


def _note(kind, value):
    # As nothing but ASCII: the way to the server has many stations.
    return "virtapi: " + json.dumps({kind: value}, separators=(",", ":"))


def _tombstones(hypervisor):
    """Those of the document; the server may give none."""
    return hypervisor.get("tombstones") or {"vms": {}, "volumes": {}}


def _needed(hypervisor):
    """State and name of all that the document asks for."""
    vms = hypervisor["vms"]
    needed = {("virtapi_container" if vm["virt_method"] == METHOD else "virtapi_domain", uuid) for uuid, vm in vms.items()}
    if any(_tombstones(hypervisor).values()):
        needed.add(("virtapi_removals", "tombstones"))
    for vm in vms.values():
        needed.update(("virtapi_bridge", interface["bridge"]) for interface in vm["interfaces"])
        needed.update(("virtapi_volume", volume["uuid"]) for volume in vm["volumes"])
        needed.update(("virtapi_snapshots", volume["uuid"]) for volume in vm["volumes"] if volume["snapshots"])
    return needed


def _converged():
    """State and name of what this run has really looked at, and is as it should be."""
    found = set()
    for tag, result in __running__.items():
        module, _id, name, function = tag.split("_|-", 3)
        ran = result.get("__state_ran__", True) and not result.get("skip_watch")
        if function == ("applied" if module == "virtapi_removals" else "present") and ran and result["result"] is True:
            found.add((module, name))
    return found


def _kept():
    """State and name of what is to be absent from a storage node beside the document, and could not be taken away."""
    found = set()
    for tag, result in __running__.items():
        module, _id, name, function = tag.split("_|-", 3)
        if module.startswith("virtapi_ceph") and function == "absent" and result["result"] is False:
            found.add((module, name))
    return found


def _unmanaged_bridges(vms, switch, uplink):
    managed = {uplink} if switch == "openvswitch" else set()
    for vm in vms.values():
        for interface in vm["interfaces"]:
            segment = Segment(interface["vlans"])
            managed.add(interface["bridge"])
            if segment.own:
                managed.add(segment.bridge)
    there = set()
    for module in ["virtapi_linux_bridge"] + ["virtapi_openvswitch_bridge"] * (switch == "openvswitch"):
        __salt__[module + ".forget"]()
        there.update(__salt__[module + ".bridges"]())
    return sorted(there - managed)


def _unmanaged_volumes(hypervisor):
    known = __salt__["virtapi_volume.places"](hypervisor["vms"])
    known.update(map(__salt__["virtapi_volume.place"], _tombstones(hypervisor)["volumes"].values()))
    there = set()
    directory = hypervisor["local_storage_path"]
    if directory and os.path.isdir(directory):
        there.update(entry.path for entry in os.scandir(directory) if entry.is_file())
    if hypervisor["vg_name"]:
        there.update(__salt__["virtapi_volume.logical_volumes"](hypervisor["vg_name"]))
    # A name that is no UTF-8 could not be told.
    legible = (path.encode("utf-8", "surrogateescape").decode("utf-8", "replace") for path in there - known)
    return sorted(legible)
