"""
The key by which libvirt opens volumes in the pools of a cluster.

A secret that libvirt calls private was made by others, and is left as it is. Nothing takes a secret away, and nobody is
shown its key. docs/convergence.md has the rules.
"""

import re

import virtapi_domain_xml
from salt.exceptions import CommandExecutionError


def present(name, cluster, usage=None):
    """
    Make sure that libvirt has a secret with the site's key ``client`` of this cluster.

    name
        The fsid of the cluster, which is the UUID of the secret.
    cluster
        The cluster's name.
    usage
        What libvirt shows of it: the cluster and the user.
    """
    ret = {"name": name, "result": False, "changes": {}, "comment": ""}
    if not re.fullmatch(virtapi_domain_xml.UUID, name):
        return dict(ret, comment="{} is no UUID".format(name))
    try:
        found = __salt__["virtapi_ceph_key.secret"](name, cluster)
        if found == "right":
            return dict(ret, result=True, comment="the secret {} is as it should be".format(name))
        absent = found == "absent"
        what, old, new = ("secret", "absent", "present") if absent else ("key", "[redacted]", "[redacted]")
        changes = {what: {"old": old, "new": new}}
        if __opts__["test"]:
            return dict(ret, result=None, changes=changes, comment="the secret {} would be changed".format(name))
        if absent:
            __salt__["virtapi_ceph_key.define_secret"](name, usage or name)
        __salt__["virtapi_ceph_key.set_secret"](name, cluster)
    except (CommandExecutionError, OSError) as error:
        return dict(ret, comment=str(error))
    return dict(ret, result=True, changes=changes, comment="the secret {} is changed".format(name))
