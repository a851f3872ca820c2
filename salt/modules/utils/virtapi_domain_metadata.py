"""
What virtapi keeps in a domain's own metadata, beside that of others: how often the machine was to be restarted when it was
last started, and which restore of each volume was the last. libvirt keeps it for what is defined and for what runs; restores count
in what is defined alone.
"""

import re
import xml.etree.ElementTree as ElementTree

NAMESPACE = "urn:virtapi"
PREFIX = "virtapi"
_TAG = "{%s}vm" % NAMESPACE
_VOLUME = "{%s}volume" % NAMESPACE

ElementTree.register_namespace(PREFIX, NAMESPACE)


def restarts(root):
    """Return the number in the root element of a domain; None where nothing is kept."""
    kept = root.find("metadata/" + _TAG)
    return None if kept is None else _number(kept.get("restarts"))


def restores(root):
    """Return the number of each volume in the root element of a domain; None where nothing of virtapi is kept at all."""
    kept = root.find("metadata/" + _TAG)
    if kept is None:
        return None
    found = {each.get("uuid"): _number(each.get("restore")) for each in kept.findall(_VOLUME)}
    return {uuid: number for uuid, number in found.items() if uuid and number is not None}


def put(root, number, numbers):
    """Keep the number, or leave it as it is where it is None, and those of volumes in the root element of a domain."""
    kept = root.find("metadata/" + _TAG)
    if kept is None and number is None and not numbers:
        return
    if kept is None:
        metadata = root.find("metadata")
        kept = ElementTree.SubElement(ElementTree.SubElement(root, "metadata") if metadata is None else metadata, _TAG)
    if number is not None:
        kept.set("restarts", str(number))
    for volume in kept.findall(_VOLUME):
        kept.remove(volume)
    _add_volumes(kept, _VOLUME, numbers)


def words(number, numbers):
    """Return the same as libvirt takes it from a command: it adds the namespace."""
    made = ElementTree.Element("vm", {} if number is None else {"restarts": str(number)})
    _add_volumes(made, "volume", numbers)
    return ElementTree.tostring(made, encoding="unicode")


def _add_volumes(element, tag, numbers):
    for uuid, number in numbers.items():
        ElementTree.SubElement(element, tag, {"uuid": uuid, "restore": str(number)})


def _number(text):
    return int(text) if re.fullmatch("[0-9]+", text or "") else None
