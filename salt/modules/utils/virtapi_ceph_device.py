"""
What is on a device that an OSD is to have. It only reads.
"""

import errno
import json
import os
import re
import stat

import virtapi_ceph_command
import virtapi_command
from salt.exceptions import CommandExecutionError

# What `blkid` ends with where it finds nothing.
_NOTHING = 2


def contents(functions, path):
    """Return ``uuid`` of the OSD that it has, or ``other``, what else; nothing when it is blank."""
    if not os.path.exists(path) or not stat.S_ISBLK(os.stat(path).st_mode):
        return {"other": "{} is no block device of this node".format(path)}
    ran = virtapi_command.result(functions, "blkid", "-p", "-o", "export", path)
    uuid = _label(functions, path)
    if uuid:
        return {"uuid": uuid}
    if _in_use(path):
        return {"other": "it is in use"}
    if ran["retcode"] == _NOTHING:
        return {}
    kind = re.search("^(?:PT)?TYPE=(.*)", ran["stdout"], re.MULTILINE)
    said = ran["stdout"] + ran["stderr"]
    return {"other": kind.group(1) if kind else "blkid: {}".format(" ".join(said.split()))}


def _label(functions, path):
    """The UUID of the OSD whose it is by its label; None when it has none."""
    try:
        said = virtapi_ceph_command.execute(functions, "ceph-bluestore-tool", "show-label", "--dev", path)
    except CommandExecutionError:
        return None
    return next(iter(json.loads(said).values()))["osd_uuid"]


def _in_use(path):
    """The kernel gives a device that is mounted, or part of another one, to nobody else."""
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_EXCL))
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        return True
    return False
