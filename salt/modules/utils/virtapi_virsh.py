"""
What virsh says, read. It asks nothing.
"""

from salt.exceptions import CommandExecutionError


def domains(text, persistent, autostarted, mark):
    """Return the domains of a batch: for each there is its state, what is defined, and what runs."""
    found = {}
    answers = _sections(text, mark)
    for uuid in dict(answers):
        told = [answer for other, answer in answers if other == uuid]
        if len(told) != 3:
            raise CommandExecutionError("virsh told only a part of domain {}".format(uuid))
        is_now, reason = state(told[0])
        found[uuid] = {
            "uuid": uuid,
            "persistent": uuid in persistent,
            "autostart": uuid in autostarted,
            "state": is_now,
            "reason": reason,
            "active": active(told[0]),
            "defined": told[1],
            "running": told[2] if is_now in ("running", "paused") else None,
        }
    return found


def states(text, mark):
    """Return name and state by UUID."""
    found = {}
    for uuid, answer in _sections(text, mark):
        name, _, told = answer.partition("\n")
        found[uuid] = {"name": name, "state": state(told)[0]}
    return found


def state(told):
    """Return what virtapi calls a state of libvirt, and the reason."""
    word, _, reason = told.strip().partition(" (")
    if word == "shut off":
        return ("crashed" if reason == "crashed)" else "stopped"), reason.rstrip(")")
    return {"crashed": "crashed", "paused": "paused", "pmsuspended": "paused"}.get(word, "running"), reason.rstrip(")")


def active(told):
    """Return whether there is an emulator: one whose guest has crashed may be left."""
    return not told.strip().startswith("shut off")


def _sections(text, mark):
    """UUIDs with what follows them; virsh writes no line end after an echo when it is told to be quiet."""
    return [(section[:36], section[36:].strip()) for section in text.split(mark + " ")[1:]]
