"""
Ceph's own file of settings, from a cluster of the document and what the site adds. It writes nothing.
"""

from salt.exceptions import CommandExecutionError


def refuse_without_monitors(name, cluster):
    """Raise where the document has none: Ceph would look elsewhere for them, in settings that are there, and in DNS."""
    if not cluster["mons"]:
        raise CommandExecutionError("the document has no monitors of cluster {}".format(name))


def addresses(address, port):
    """
    Return where a monitor listens, as Ceph writes it.

    The document has one port, that of the first protocol; the second one is always at 3300. A monitor with port 3300 has
    only the second.
    """
    host = "[{}]".format(address) if ":" in address else address
    second = "v2:{}:3300".format(host)
    return "[{}]".format(second if port == 3300 else "{},v1:{}:{}".format(second, host, port))


def monitors(cluster):
    """Return the addresses of a cluster's monitors by name."""
    return {mon["name"]: addresses(mon["address"], mon["port"]) for mon in cluster["mons"]}


def text(cluster, more):
    """Return the file. ``more`` are settings by section, which go first."""
    mons = monitors(cluster)
    sections = {"global": {"fsid": cluster["fsid"], "mon host": ",".join(mons.values())}}
    for name in ("public_network", "cluster_network"):
        if cluster[name]:
            sections["global"][name.replace("_", " ")] = cluster[name]
    if any(":" in mon["address"] for mon in cluster["mons"]):
        # Ceph binds to one kind of address unless told.
        sections["global"].update({"ms bind ipv4": "false", "ms bind ipv6": "true"})
    for name, address in mons.items():
        sections["mon." + name] = {"public addrv": address}
    for section, values in more.items():
        sections.setdefault(section, {}).update({name: _word(value) for name, value in values.items()})
    lines = ["# Written by Salt (virtapi.ceph). More settings go into virtapi_ceph:settings."]
    for section, values in sections.items():
        lines.append("[{}]".format(section))
        lines.extend("{} = {}".format(*each) for each in values.items())
    return "\n".join(lines) + "\n"


def _word(value):
    return str(value).lower() if isinstance(value, bool) else value
