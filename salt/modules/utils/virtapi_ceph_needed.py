"""
Which states the formula makes of what a document says of Ceph, so that it can be known whether all of them went well.
"""


def needed(ceph, hypervisor):
    """
    Return state and name of all that the document asks for.

    ceph
        ``clusters`` as the document has them, the names of the ``keys`` of each that the site has given, ``rbd_user``.
    hypervisor
        The hypervisor as the document has it, or None.
    """
    keys = ceph["keys"]
    found = {("virtapi_ceph_settings", name) for name in ceph["clusters"] if name in keys}
    if hypervisor and _uses_pools(hypervisor):
        for name, cluster in ceph["clusters"].items():
            if "client" in keys.get(name, []):
                found.add(("virtapi_ceph_keyring", "{}/client.{}".format(name, ceph["rbd_user"])))
                found.add(("virtapi_ceph_secret", cluster["fsid"]))
    return found


def _uses_pools(hypervisor):
    volumes = [volume for vm in hypervisor["vms"].values() for volume in vm["volumes"]]
    removed = (hypervisor.get("tombstones") or {"volumes": {}})["volumes"].values()
    return any(volume["type"] == "rbd" for volume in [*volumes, *removed])
