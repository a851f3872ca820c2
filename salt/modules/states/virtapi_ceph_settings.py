"""
Ceph's file of settings for one cluster. docs/convergence.md has the rules.
"""

import difflib
import os

import salt.utils.atomicfile
import salt.utils.files
import virtapi_ceph_command
import virtapi_ceph_conf
from salt.exceptions import CommandExecutionError


def present(name, cluster, settings=None):
    """
    Make sure that the file is there and says what the document says. A daemon that runs keeps what it was started with.
    Where the document has no monitors of the cluster, that is an error, and nothing is written.

    name
        The cluster's name.
    cluster
        The cluster as the document has it.
    settings
        More settings by section, which go first.
    """
    ret = {"name": name, "result": False, "changes": {}, "comment": ""}
    path = virtapi_ceph_command.settings_path(name)
    try:
        virtapi_ceph_conf.refuse_without_monitors(name, cluster)
        wanted = virtapi_ceph_conf.text(cluster, settings or {})
        found = _read(path)
        if found == wanted and os.stat(path).st_mode & 0o7777 == 0o644:
            return dict(ret, result=True, comment="{} is as it should be".format(path))
        lines = difflib.unified_diff((found or "").splitlines(), wanted.splitlines(), lineterm="")
        ret["changes"] = {"settings": "\n".join(lines) or "mode 0644"}
        if __opts__["test"]:
            return dict(ret, result=None, comment="{} would be written".format(path))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with salt.utils.atomicfile.atomic_open(path, "w") as file:
            file.write(wanted)
        os.chmod(path, 0o644)
    except (CommandExecutionError, OSError) as error:
        return dict(ret, changes={}, comment=str(error))
    return dict(ret, result=True, comment="{} is written".format(path))


def _read(path):
    if not os.path.exists(path):
        return None
    with salt.utils.files.fopen(path, encoding="utf-8", errors="surrogateescape") as file:
        return file.read()
