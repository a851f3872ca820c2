"""
What virtapi keeps in a domain's own metadata, beside that of others: how often the machine was to be restarted when it was
last started. libvirt keeps it for what is defined and for what runs.
"""

import re
import xml.etree.ElementTree as ElementTree

NAMESPACE = "urn:virtapi"
PREFIX = "virtapi"
_TAG = "{%s}vm" % NAMESPACE

ElementTree.register_namespace(PREFIX, NAMESPACE)


def restarts(root):
    """Return the number in the root element of a domain; None where nothing is kept."""
    kept = root.find("metadata/" + _TAG)
    number = "" if kept is None else kept.get("restarts", "")
    return int(number) if re.fullmatch("[0-9]+", number) else None


def put(root, number):
    """Keep the number in the root element of a domain."""
    metadata = root.find("metadata")
    if metadata is None:
        metadata = ElementTree.SubElement(root, "metadata")
    kept = metadata.find(_TAG)
    if kept is None:
        kept = ElementTree.SubElement(metadata, _TAG)
    kept.set("restarts", str(number))
