"""
Which snapshots of a volume are to be taken and which are over: from what the document says and what is there to what is done.
It decides; it does nothing. docs/convergence.md has the rules, and tests/golden/snapshots/plans.json the examples.
"""

from virtapi_removal_plan import moment

# By what those of virtapi are told from those of others.
PREFIX = "virtapi-"
# Volumes of which snapshots are taken.
TYPES = ("qcow2", "rbd")


def name_of(name):
    """Return what the storage calls a snapshot of the document."""
    return PREFIX + name


def plan(snapshots, there, now, needed=None):
    """
    Return which to ``take`` and which to ``delete``, as names that the storage has.

    snapshots
        As the document has them.
    there
        The names of those that are there, whosever they are.
    now
        As times of the document are.
    needed
        The one that a restore waits for, as the document calls it: it stays.
    """
    over = [each for each in snapshots if each["keep_until"] and moment(each["keep_until"]) <= moment(now)]
    due = [each for each in snapshots if each not in over and moment(each["take_at"]) <= moment(now)]
    kept = needed and name_of(needed)
    return {
        "take": [name for name in _names(due) if name not in there],
        "delete": [name for name in _names(over) if name in there and name != kept],
    }


def _names(snapshots):
    return [name_of(each["name"]) for each in snapshots]
