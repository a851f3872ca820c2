"""
Keys of Ceph: in files, in the cluster, and as secrets of libvirt.

The site's keys stand below ``virtapi_ceph:keys`` of the pillar or of the minion's configuration. They are read here and
given to nobody: no function returns one, no state has one for an argument, and so none is in a log or in what a run
returns.
"""

import html
import os
import re

import salt.utils.atomicfile
import salt.utils.files
import salt.utils.platform
import virtapi_ceph_command
import virtapi_ceph_keyfile
import virtapi_command
from salt.exceptions import CommandExecutionError

_USERS = "virtapi_ceph_key.users"


def __virtual__():
    """Only where there can be a Ceph."""
    return salt.utils.platform.is_linux() or (False, "virtapi_ceph_key needs Linux")


def forget():
    """Ask anew when something is asked the next time."""
    __context__.pop(_USERS, None)


def look(cluster, entity, key, caps=None):
    """
    Return how a key is that is to be in its file, and with ``caps`` in the cluster.

    ``key`` says whether it is the site's, ``mode`` who reads the file (None: there is none), ``caps`` what it may do (None:
    the cluster does not know it).

    cluster, entity
        Whose key it is there: ``client.libvirt``.
    key
        Which of the site's keys of this cluster: ``mon``, ``admin`` or ``client``.
    caps
        What it is to be able to do, by service. Without it the cluster is not asked.
    """
    path = virtapi_ceph_command.keyring_path(cluster, entity)
    wanted = _key(cluster, key)
    known = _users(cluster).get(entity) if caps else None
    return {
        "key": virtapi_ceph_keyfile.key(path, entity) == wanted and (known is None or known["key"] == wanted),
        "mode": "{:04o}".format(os.stat(path).st_mode & 0o7777) if os.path.exists(path) else None,
        "caps": known and known["caps"],
    }


def write(cluster, entity, key):
    """Write a key into its file, which only root reads."""
    path = virtapi_ceph_command.keyring_path(cluster, entity)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if os.path.exists(path):
        # The new file is given the mode of the old one.
        os.chmod(path, 0o600)
    with salt.utils.files.set_umask(0o077), salt.utils.atomicfile.atomic_open(path, "w") as file:
        file.write(virtapi_ceph_keyfile.text(entity, _key(cluster, key)))
    os.chmod(path, 0o600)


def tell(cluster, entity, key, caps):
    """Tell the cluster of a key, and of what it may do."""
    text = virtapi_ceph_keyfile.text(entity, _key(cluster, key), caps)
    virtapi_command.with_file(text, lambda path: virtapi_ceph_command.run(__salt__, cluster, "auth", "import", "-i", path))
    forget()


def secret(fsid, cluster):
    """
    Return how libvirt's secret for the pools of a cluster is: ``absent``, ``right``, ``wrong``.

    One that libvirt calls private was made by others, and cannot be looked at: that one is right.
    """
    listed = (line.split() for line in virtapi_command.virsh(__salt__, "secret-list").splitlines())
    if [fsid, "ceph"] not in [words[:2] for words in listed]:
        return "absent"
    if re.search("<secret [^>]*private='yes'", virtapi_command.virsh(__salt__, "secret-dumpxml", fsid)):
        return "right"
    try:
        value = virtapi_command.virsh(__salt__, "secret-get-value", fsid, secret=True).strip()
    except CommandExecutionError:
        # It has none yet.
        return "wrong"
    return "right" if value == _key(cluster, "client") else "wrong"


def define_secret(fsid, usage):
    """Define a secret of libvirt, which has no key yet."""
    form = "<secret ephemeral='no' private='no'><uuid>{}</uuid><usage type='ceph'><name>{}</name></usage></secret>"
    text = form.format(fsid, html.escape(usage))
    virtapi_command.with_file(text, lambda path: virtapi_command.virsh(__salt__, "secret-define", path))


def set_secret(fsid, cluster):
    """Give libvirt the key for the pools of a cluster."""
    words = ("secret-set-value", fsid, "--file")
    virtapi_command.with_file(_key(cluster, "client"), lambda path: virtapi_command.virsh(__salt__, *words, path))


def _key(cluster, name):
    site = __salt__["config.get"]("virtapi_ceph", {}, omit_grains=True)
    found = site.get("keys", {}).get(cluster, {}).get(name)
    if not isinstance(found, str) or not re.fullmatch(virtapi_ceph_keyfile.KEY, found):
        raise CommandExecutionError("virtapi_ceph:keys has no key {} of cluster {}".format(name, cluster))
    return found


def _users(cluster):
    """All that the cluster knows, in one question; nothing where a dry run has no key to ask with."""
    known = __context__.setdefault(_USERS, {})
    if cluster not in known:
        there = virtapi_ceph_command.known(cluster)
        dump = virtapi_ceph_command.ask(__salt__, cluster, "auth", "ls")["auth_dump"] if there else []
        known[cluster] = {user["entity"]: user for user in dump}
    return known[cluster]
