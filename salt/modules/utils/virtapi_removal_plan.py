"""
What is to be removed from a hypervisor: the document's tombstones and what is there in, what to do out. It decides; it
does nothing. docs/convergence.md has the rules, and tests/golden/removals.json the examples.
"""

import datetime

import virtapi_removal_share


def plan(vms, volumes, tombstones, domains, there, approved, max_removals, now):
    """
    Return what to ``stop``, to ``undefine`` and to ``delete``, in this order, each as UUIDs.

    ``removed`` is what is over and gone, ``wrong`` are domains of another name, and ``refused`` says how many of how
    many would be removed where that is more than a run removes: then nothing is.

    vms, volumes
        How many the document has.
    tombstones
        As the document has them.
    domains
        Name and state of those that libvirt has, by UUID; one whose emulator has ended is ``stopped``.
    there
        UUIDs of those volumes of tombstones that are there.
    approved
        Whether somebody has approved what this document removes, however much.
    max_removals
        How many per cent of what is there a run removes; but always one.
    now
        As times of the document are.
    """
    found, wrong = {}, []
    for uuid, tombstone in sorted(tombstones["vms"].items()):
        if uuid in domains and domains[uuid]["name"] != tombstone["domain"]:
            wrong.append(uuid)
        elif uuid in domains:
            found[uuid] = domains[uuid]["state"]
    made = {
        "stop": [uuid for uuid, state in found.items() if state != "stopped"],
        "undefine": [uuid for uuid in _over(tombstones["vms"], now) if uuid in found],
        "delete": [uuid for uuid in _over(tombstones["volumes"], now) if uuid in there],
    }
    shares = [
        (len(set(made["stop"] + made["undefine"])), vms + len(found), "virtual machines"),
        (len(made["delete"]), volumes + len(set(there) & set(tombstones["volumes"])), "volumes"),
    ]
    most = list(filter(None, (virtapi_removal_share.excess(*each, max_removals) for each in shares)))
    refused = " and ".join(most) if most and not approved else None
    if refused:
        made = dict.fromkeys(made, [])
    return dict(made, removed=removed(tombstones, domains, there, now), wrong=wrong, refused=refused)


def removed(tombstones, domains, there, now):
    """Return UUIDs of what is over, and nothing of it is there."""
    return [uuid for uuid in _over(tombstones["vms"], now) if uuid not in domains] + [
        uuid for uuid in _over(tombstones["volumes"], now) if uuid not in there
    ]


def now():
    """Return this moment as times of the document are."""
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _over(tombstones, now):
    return [uuid for uuid, each in sorted(tombstones.items()) if moment(each["not_before"]) <= moment(now)]


def moment(text):
    """Return a time of the document as one that can be compared."""
    # Fractions of a second are not always there.
    form = "%Y-%m-%dT%H:%M:%S.%fZ" if "." in text else "%Y-%m-%dT%H:%M:%SZ"
    return datetime.datetime.strptime(text, form)
