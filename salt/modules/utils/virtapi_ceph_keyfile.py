"""
Files with the keys of Ceph. What is in them is shown to nobody.
"""

import re

import salt.utils.files

KEY = r"[A-Za-z0-9+/]{38}=="
ADMIN_CAPS = {"mds": "allow *", "mgr": "allow *", "mon": "allow *", "osd": "allow *"}
MON_CAPS = {"mon": "allow *"}


def text(entity, key, caps=None):
    """Return a key as a file has it, with what it may do, by service."""
    lines = ["[{}]".format(entity), "\tkey = {}".format(key)]
    for service, cap in sorted((caps or {}).items()):
        lines.append('\tcaps {} = "{}"'.format(service, re.sub(r'(["\\])', r"\\\1", cap)))
    return "\n".join(lines) + "\n"


def key(path, entity):
    """Return the key of an entity in a file; None when it is not there."""
    section = None
    try:
        with salt.utils.files.fopen(path, encoding="utf-8") as file:
            for line in file:
                heading = re.match(r"\s*\[(.+)\]", line)
                section = heading.group(1) if heading else section
                found = re.match(r"\s*key\s*=\s*(\S+)", line)
                if found and section == entity:
                    return found.group(1)
    except FileNotFoundError:
        pass
    return None


def pool_caps(pools):
    """Return what those may do who use these pools, as the document has them."""
    names = [pool["name"] for pool in pools]
    allowed = [
        "profile rbd pool=" + (name if re.fullmatch(r"[\w.-]+", name, re.ASCII) else '"{}"'.format(name)) for name in names
    ]
    return dict({"mon": "profile rbd"}, **({"osd": ", ".join(allowed)} if allowed else {}))
