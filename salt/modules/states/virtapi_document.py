"""
What the server is told in the return of a run: which version of the document was applied, and what is really there.

A comment carries it, for that is what returners and the master's event bus keep. docs/convergence.md has the form.
"""

import json
import os

from salt.exceptions import CommandExecutionError
from virtapi_segment import Segment


def applied(name, meta):
    """
    Tell that this version of the document was applied.

    Require everything that the document asks for: this then runs only when all of it is so. In a dry run nothing is
    told.

    name
        Any name.
    meta
        The document's version: ``virtapi:meta``.
    """
    comment = "a dry run applies nothing" if __opts__["test"] else _note("applied", meta)
    return {"name": name, "result": True, "changes": {}, "comment": comment}


def observed(name, hypervisor, switch="linux", uplink=None):
    """
    Tell how the virtual machines are, and what is on this hypervisor that virtapi does not know.

    It looks when everything else is done, whether or not that failed, and in a dry run as well; it changes nothing.
    What could not be looked at is left out.

    name
        Any name.
    hypervisor
        The hypervisor as the document has it.
    switch, uplink
        As those of the bridges.
    """
    ret = {"name": name, "result": True, "changes": {}, "comment": "", "warnings": []}
    vms = hypervisor["vms"]

    def attempt(look):
        try:
            return look()
        except (CommandExecutionError, OSError) as error:
            ret["warnings"].append("could not look: {}".format(error))
            return None

    domains = attempt(__salt__["virtapi_libvirt.states"])
    unmanaged = {
        "domains": None if domains is None else sorted(domains[uuid]["name"] for uuid in set(domains) - set(vms)),
        "bridges": attempt(lambda: _unmanaged_bridges(vms, switch, uplink)),
        "volumes": attempt(lambda: _unmanaged_volumes(hypervisor)),
    }
    seen = {
        "vms": None if domains is None else {uuid: domains[uuid]["state"] for uuid in sorted(set(domains) & set(vms))},
        "unmanaged": {what: found for what, found in unmanaged.items() if found is not None},
    }
    ret["comment"] = _note("observed", {what: found for what, found in seen.items() if found is not None})
    return ret


def _note(kind, value):
    # As nothing but ASCII: the way to the server has many stations.
    return "virtapi: " + json.dumps({kind: value}, separators=(",", ":"))


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
    known = set()
    for vm in hypervisor["vms"].values():
        for volume in vm["volumes"]:
            known.add(__salt__["virtapi_volume.place"](volume))
            known.add((volume["backing"] or {}).get("path"))
    there = set()
    directory = hypervisor["local_storage_path"]
    if directory and os.path.isdir(directory):
        there.update(entry.path for entry in os.scandir(directory) if entry.is_file())
    if hypervisor["vg_name"]:
        __salt__["virtapi_volume.forget"]()
        there.update(__salt__["virtapi_volume.logical_volumes"](hypervisor["vg_name"]))
    # A name that is no UTF-8 could not be told.
    legible = (path.encode("utf-8", "surrogateescape").decode("utf-8", "replace") for path in there - known)
    return sorted(legible)
