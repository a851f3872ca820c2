"""
Who on this machine has a file open. It only reads.
"""

import glob
import os

import salt.utils.files


def users(path):
    """Return who has a file open: processes, and loop devices, which have none."""
    wanted = os.stat(path)
    found = set()
    for opened in glob.iglob("/proc/[0-9]*/fd/*"):
        try:
            if os.path.samestat(os.stat(opened), wanted):
                found.add("process {}".format(opened.split("/")[2]))
        except OSError:
            # It has ended, or closed it.
            continue
    for backing in glob.iglob("/sys/block/loop*/loop/backing_file"):
        with salt.utils.files.fopen(backing, encoding="utf-8", errors="surrogateescape") as file:
            if file.read().rstrip("\n") == os.path.realpath(path):
                found.add(backing.split("/")[3])
    return sorted(found)
