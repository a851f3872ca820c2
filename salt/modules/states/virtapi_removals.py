"""
What was removed in virtapi goes from the hypervisor, by the tombstones of its document and by nothing else: machines
are stopped, and undefined when their time is over; then volumes are deleted whose time is over.

A run that would remove more than its share removes nothing. docs/convergence.md has the rules.
"""

import os
import re

import virtapi_domain_definition
import virtapi_domain_xml
import virtapi_network_filter
import virtapi_removal_plan
import virtapi_removal_share
from salt.exceptions import CommandExecutionError

_KEPT = "{} has a tombstone, and the document has it: it is left alone"
_REFUSED = "{} would be removed, a run removes at most {} percent: nothing is. {}"


def applied(
    name,
    hypervisor,
    meta,
    fqdn,
    clusters=None,
    rbd_user="libvirt",
    shutdown_timeout=60,
    max_removals=20,
    lxc_path="/var/lib/lxc",
):
    """
    Make sure that what has a tombstone is stopped, and gone when its time is over.

    name
        Any name.
    hypervisor
        The hypervisor as the document has it, with its ``tombstones``.
    meta
        The document's version, which says whether somebody has approved what it removes: ``virtapi:meta``.
    fqdn
        The node as the server knows it.
    clusters
        The Ceph clusters by name, as the document has them.
    rbd_user
        The Ceph user, whose keyring is where Ceph looks for it.
    shutdown_timeout
        Seconds that a guest has to shut down; then it is switched off.
    max_removals
        How many per cent of what is there a run removes without approval; but always one.
    lxc_path
        The directory of all containers.
    """
    ret = {"name": name, "result": False, "changes": {}, "comment": ""}
    pools = {"clusters": clusters or {}, "rbd_user": rbd_user}
    errors = []
    try:
        removals = _Removals(hypervisor, pools, shutdown_timeout, lxc_path, ret, errors)
        plan = removals.plan(meta.get("approved") is True, max_removals)
        if plan["refused"]:
            errors.append(_REFUSED.format(plan["refused"], max_removals, virtapi_removal_share.how_to_approve(fqdn, meta)))
        else:
            removals.carry_out(plan)
    except (CommandExecutionError, OSError) as error:
        errors.append(str(error))
    # What others ask in this run is how it is now.
    _forget()
    if errors:
        ret["comment"] = "; ".join(errors)
    elif __opts__["test"] and ret["changes"]:
        ret.update(result=None, comment="would be removed: " + ", ".join(ret["changes"]))
    elif ret["changes"]:
        ret.update(result=True, comment="removed: " + ", ".join(ret["changes"]))
    else:
        ret.update(result=True, comment="there is nothing to remove now")
    return ret


class _Removals:
    """The tombstones of a document, and what is there of them."""

    def __init__(self, hypervisor, pools, shutdown_timeout, lxc_path, ret, errors):
        self.vms = hypervisor["vms"]
        self.volumes = [volume["uuid"] for vm in self.vms.values() for volume in vm["volumes"]]
        self.pools = pools
        self.shutdown_timeout = shutdown_timeout
        self.lxc_path = lxc_path
        self.ret = ret
        self.errors = errors
        _forget()
        self.domains = dict(_libvirt("domains"))
        self.containers = self.find_containers()
        tombstones = hypervisor["tombstones"]
        places = __salt__["virtapi_volume.places"](self.vms)
        vms = self.ours(tombstones["vms"], self.why_no_machine)
        volumes = self.ours(tombstones["volumes"], lambda *each: self.why_no_volume(places, *each))
        self.there, unknown = __salt__["virtapi_volume.there"](volumes, **pools)
        errors.extend("volume {}: {}".format(*each) for each in sorted(unknown.items()))
        known = {uuid: volume for uuid, volume in volumes.items() if uuid not in unknown}
        self.tombstones = {"vms": vms, "volumes": known}

    def ours(self, tombstones, why_not):
        """Return those that are ours to remove, and note why others are not."""
        reasons = {uuid: why_not(uuid, tombstone) for uuid, tombstone in sorted(tombstones.items())}
        self.errors.extend(filter(None, reasons.values()))
        return {uuid: tombstones[uuid] for uuid, reason in reasons.items() if not reason}

    def why_no_machine(self, uuid, tombstone):
        """Return why a machine is none to remove; None if it is one."""
        domain = tombstone["domain"]
        if not re.fullmatch(virtapi_domain_xml.UUID, uuid) or not re.fullmatch(virtapi_domain_xml.DOMAIN, domain):
            return "{} with the domain {} is no machine of virtapi".format(uuid, domain)
        return _KEPT.format(domain) if uuid in self.vms else None

    def why_no_volume(self, places, uuid, tombstone):
        """Return why a volume is none to remove; None if it is one."""
        place = __salt__["virtapi_volume.place"](tombstone)
        return _KEPT.format(place or uuid) if uuid in self.volumes or place in places else None

    def plan(self, approved, max_removals):
        """Return what is to be done, and note which domains are not ours."""
        domains = {uuid: {"name": each["name"], "state": each["state"]} for uuid, each in self.containers.items()}
        domains.update({uuid: _found(domain) for uuid, domain in self.domains.items()})
        plan = virtapi_removal_plan.plan(
            vms=len(self.vms),
            volumes=len(self.volumes),
            tombstones=self.tombstones,
            domains=domains,
            there=self.there,
            approved=approved,
            max_removals=max_removals,
            now=virtapi_removal_plan.now(),
        )
        for uuid in plan["wrong"]:
            message = "the domain is called {} and not {}: another made it, and it is left alone"
            self.errors.append(message.format(domains[uuid]["name"], self.tombstones["vms"].pop(uuid)["domain"]))
        return plan

    def carry_out(self, plan):
        """Do it, in a dry run only say so; what fails keeps nothing else from being done."""
        for uuid, tombstone in self.tombstones["vms"].items():
            if uuid in self.containers and uuid not in self.domains:
                self.attempt(self.remove_container, uuid, plan)
            elif uuid in self.domains:
                self.attempt(self.remove, uuid, tombstone["domain"], plan)
            elif uuid in plan["removed"]:
                self.attempt(self.delete_seed, uuid, tombstone["domain"])
                self.attempt(self.delete_filter, uuid, tombstone["domain"])
        if plan["delete"] and not __opts__["test"]:
            # To stop machines takes its time.
            _libvirt("forget")
            self.domains = dict(_libvirt("domains"))
            self.containers = self.find_containers()
        for uuid in plan["delete"]:
            self.attempt(self.delete, self.tombstones["volumes"][uuid])

    def attempt(self, remove, *what):
        """Try it, and note why it could not be done."""
        try:
            remove(*what)
        except (CommandExecutionError, OSError) as error:
            self.errors.append(str(error))

    def remove(self, uuid, name, plan):
        """Stop a domain, and undefine it where that is planned."""
        domain = self.domains[uuid]
        kept = domain["persistent"]
        if kept and domain["autostart"]:
            self.change(name + " autostart", True, False, lambda: _libvirt("autostart", uuid, False))
        if uuid in plan["stop"]:
            # One that is not defined is gone when it ends.
            after = "stopped" if kept else "absent"
            self.change(name, domain["state"], after, lambda: self.stop(uuid, name, domain["state"]))
        if uuid in plan["undefine"] and kept:
            self.change(name, domain["state"], "absent", lambda: self.undefine(uuid))
            # It has its disks no more; that shows in a dry run, too.
            del self.domains[uuid]

    def find_containers(self):
        """Return the containers that are ours, by UUID."""
        found = self.lxc("containers").items()
        return {each["uuid"]: dict(each, name=name) for name, each in found if each["uuid"]}

    def lxc(self, function, *arguments):
        """Ask or tell LXC, below its directory."""
        return __salt__["virtapi_lxc." + function](*arguments, path=self.lxc_path)

    def remove_container(self, uuid, plan):
        """Stop a container, and delete what LXC has of it where that is planned."""
        container = self.containers[uuid]
        name = container["name"]
        if container["autostart"]:
            self.change(name + " autostart", True, False, lambda: self.lxc("leave_off", name))
        if uuid in plan["stop"]:
            self.change(name, container["state"], "stopped", lambda: self.stop_container(name, container["state"]))
        if uuid in plan["undefine"]:
            self.change(name, container["state"], "absent", lambda: self.undefine_container(uuid, name))
            # It has its volume no more; that shows in a dry run, too.
            del self.containers[uuid]

    def undefine_container(self, uuid, name):
        """Delete what LXC has of a container, and its seed."""
        self.lxc("undefine", name)
        self.delete_images(uuid)

    def stop_container(self, name, state):
        """Shut a container down, or kill it."""
        if not self.lxc("shut_down", name, self.shutdown_timeout, state == "paused"):
            late = "{}: has not shut down in {} s, and is killed"
            self.ret.setdefault("warnings", []).append(late.format(name, self.shutdown_timeout))
            self.lxc("kill", name)

    def undefine(self, uuid):
        """Undefine a domain, and delete its seed."""
        _libvirt("undefine", uuid)
        self.delete_images(uuid)
        self.undefine_filter(uuid)

    def undefine_filter(self, uuid):
        """Undefine the packet filter of a machine that is gone."""
        if self.filter_there(uuid):
            _libvirt("undefine_filter", virtapi_network_filter.name_of(uuid))

    def filter_there(self, uuid):
        """Return whether a machine has a packet filter."""
        return virtapi_network_filter.name_of(uuid) in _libvirt("filters")

    def delete_images(self, uuid):
        """Delete the seed of a machine that is gone."""
        __salt__["virtapi_seed.delete"](__salt__["virtapi_seed.images"](uuid))

    def delete_seed(self, uuid, name):
        """Delete what is left of a machine that another has undefined."""
        if __salt__["virtapi_seed.images"](uuid):
            self.change(name + " seed", "present", "absent", lambda: self.delete_images(uuid))

    def delete_filter(self, uuid, name):
        """Undefine what filtered a machine that another has undefined."""
        if self.filter_there(uuid):
            self.change(name + " filter", "present", "absent", lambda: self.undefine_filter(uuid))

    def stop(self, uuid, name, state):
        """Shut a domain down, or switch it off; there is nobody to ask in a guest that has crashed."""
        try:
            if state != "crashed":
                if _libvirt("shut_down", uuid, self.shutdown_timeout, state == "paused"):
                    return
                late = "{}: has not shut down in {} s, and is switched off"
                self.ret.setdefault("warnings", []).append(late.format(name, self.shutdown_timeout))
            _libvirt("destroy", uuid)
        except CommandExecutionError:
            if _libvirt("domain", uuid):
                raise

    def delete(self, volume):
        """Delete a volume that no domain has."""
        place = __salt__["virtapi_volume.place"](volume)
        source = _real(__salt__["virtapi_volume.source"](volume))
        for domain in self.domains.values():
            for text in filter(None, (domain["defined"], domain["running"])):
                if source in _used(virtapi_domain_definition.sources(text)):
                    message = "{} is kept: domain {} has it"
                    raise CommandExecutionError(message.format(place, _found(domain)["name"]))
        # Those of others, too.
        for name, container in self.lxc("containers").items():
            gone = container["uuid"] is not None and container["uuid"] not in self.containers
            if source == _real(container["source"]) and not gone:
                raise CommandExecutionError("{} is kept: container {} has it".format(place, name))
        pool = {"cluster": self.pools["clusters"].get(volume.get("cluster")), "rbd_user": self.pools["rbd_user"]}
        self.change(place, "present", "absent", lambda: __salt__["virtapi_volume.delete"](volume, **pool))

    def change(self, what, old, new, do):
        """Do it unless this is a dry run, and note it."""
        if not __opts__["test"]:
            do()
        self.ret["changes"][what] = {"old": old, "new": new}


def _libvirt(function, *arguments):
    return __salt__["virtapi_libvirt." + function](*arguments)


def _forget():
    _libvirt("forget")
    __salt__["virtapi_lxc.forget"]()
    __salt__["virtapi_volume.forget"]()


def _found(domain):
    """Return name and state; one whose emulator has ended is stopped, however it ended."""
    name = virtapi_domain_definition.read(domain["defined"]).name
    return {"name": name, "state": domain["state"] if domain["active"] else "stopped"}


def _used(sources):
    """Return what disks are, and what those are made on: of a domain that is off only their own headers tell that."""
    files = (place for source in sources if source.startswith("/") for place in __salt__["virtapi_volume.chain"](source))
    return {_real(source) for source in [*sources, *files]}


def _real(source):
    """Return a source by the one name that all links to it lead to."""
    return os.path.realpath(source) if source.startswith("/") else source
