"""
Which states the formula makes of what a document says of Ceph, so that it can be known whether all of them went well.
"""


def needed(ceph, hypervisor):
    """
    Return state and name of all that the document asks for.

    ceph
        ``clusters``, ``mon`` and ``osds`` as the document has them, where the node has that role; the names of the ``keys``
        of each cluster that the site has given, and the ``rbd_user``.
    hypervisor
        The hypervisor as the document has it, or None.
    """
    keys = ceph["keys"]
    found = {("virtapi_ceph_settings", name) for name in ceph["clusters"] if name in keys}
    found.update(("virtapi_ceph_osd", osd["uuid"]) for osd in ceph["osds"])
    if ceph["mon"] or ceph["osds"]:
        admins = (name for name in ceph["clusters"] if "admin" in keys.get(name, []))
        found.update(("virtapi_ceph_keyring", "{}/client.admin".format(name)) for name in admins)
    if ceph["mon"]:
        found |= _of_mon(ceph, ceph["mon"]["cluster"])
    if hypervisor and _uses_pools(hypervisor):
        for name, cluster in ceph["clusters"].items():
            if "client" in keys.get(name, []):
                found.add(("virtapi_ceph_keyring", "{}/client.{}".format(name, ceph["rbd_user"])))
                found.add(("virtapi_ceph_secret", cluster["fsid"]))
    return found


def _of_mon(ceph, cluster):
    title = "{}/{}".format(cluster, ceph["mon"]["name"])
    found = {("virtapi_ceph_mon", title), ("virtapi_ceph_mgr", title), ("virtapi_ceph_keyring", cluster + "/mon.")}
    pools = ceph["clusters"][cluster]["pools"]
    found.update(("virtapi_ceph_pool", "{}/{}".format(cluster, pool["name"])) for pool in pools)
    if "client" in ceph["keys"][cluster]:
        found.add(("virtapi_ceph_keyring", "{}/client.{}".format(cluster, ceph["rbd_user"])))
    return found


def _uses_pools(hypervisor):
    volumes = [volume for vm in hypervisor["vms"].values() for volume in vm["volumes"]]
    removed = (hypervisor.get("tombstones") or {"volumes": {}})["volumes"].values()
    return any(volume["type"] == "rbd" for volume in [*volumes, *removed])
