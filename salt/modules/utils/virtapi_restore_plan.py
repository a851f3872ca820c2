"""
Which volumes of a machine are to be brought back to a snapshot: from the numbers of the document and those that its domain keeps.
It decides; it does nothing. docs/convergence.md has the rules, and tests/golden/snapshots/plans.json the examples.
"""


def plan(wanted, kept, attached):
    """
    Return which volumes are ``pending``, and which numbers the domain is to ``keep`` by now: those of what is pending come later.

    wanted
        The number of each volume of the machine, by UUID; None where the document has none.
    kept
        The numbers that the domain keeps; None where it has no metadata of ours.
    attached
        The volumes that the domain has by now.
    """
    before = kept or {}
    # One that is new to the domain, as the domain itself may be, has nothing to go back to.
    known = [] if kept is None else attached
    pending = [uuid for uuid, number in wanted.items() if number is not None and uuid in known and before.get(uuid, 0) < number]
    keep = {
        uuid: before.get(uuid) if uuid in pending or number is None else number for uuid, number in wanted.items()
    }
    return {"pending": pending, "keep": {uuid: number for uuid, number in keep.items() if number is not None}}


def of(desired, defined):
    """Return the plan of a domain: what the document makes of it, and what libvirt has defined."""
    disks = [disk for disk in desired.disks if disk.ours]
    attached = [disk.uuid for disk in disks if any(disk.same(other) for other in defined.disks)]
    numbers = desired.restores or {}
    return plan({disk.uuid: numbers.get(disk.uuid) for disk in disks}, defined.restores, attached)
