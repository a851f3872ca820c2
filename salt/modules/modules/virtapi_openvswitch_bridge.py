"""
A VM's bridge by Open vSwitch.

A pair of patch ports connects it to the uplink bridge, which is the operator's; the port there has the VLAN's tag, or
the tags of several. docs/convergence.md has the picture.

Its functions are those of ``virtapi_linux_bridge``; what is to be done, the state ``virtapi_bridge`` decides.
"""

import salt.utils.platform
import virtapi_command
import virtapi_segment
from virtapi_devices import OpenvSwitch
from virtapi_segment import Segment

_KNOWN = "virtapi_openvswitch_bridge.database"


def __virtual__():
    """Only where Open vSwitch can be."""
    return salt.utils.platform.is_linux() or (False, "virtapi_openvswitch_bridge needs Linux")


def bridges():
    """
    Return the names of all bridges, as they were when this run first asked.

    .. code-block:: bash

        salt '*' virtapi_openvswitch_bridge.bridges
    """
    return _database().bridges


def forget():
    """Ask anew when something is asked the next time."""
    __context__.pop(_KNOWN, None)


def unable(vlans, uplink=None, vxlan_device=None):
    """Return why these VLANs cannot be had here; None when they can."""
    wanted = Segment(vlans)
    names = ", ".join(wanted.names)
    if wanted.kind == "mixed":
        return "one interface cannot have several VXLANs ({})".format(names)
    if wanted.kind == "vxlan":
        return "VXLAN by Open vSwitch is not managed: the document does not name the other hypervisors"
    if wanted.kind == "none":
        return None
    if not uplink:
        return "VLAN {} needs an uplink, a bridge of Open vSwitch".format(wanted.names[0])
    return None if uplink in bridges() else "the uplink {} is no bridge of Open vSwitch".format(uplink)


def exists(name):
    """Return whether the bridge is there."""
    return name in bridges()


def segment(name):
    """Return the segment that a bridge is connected to, as Segment writes it."""
    database = _database()
    inner, outer = virtapi_segment.cable(name)
    if database.bridge_of(inner) != name:
        return "none"
    tags = database.tags(outer)
    # A port without a tag is a trunk of everything.
    if not tags:
        return "everything"
    if database.bridge_of(outer) is None:
        return "nothing"
    return "{} {}".format("vlan" if database.is_access(outer) else "trunk", ",".join(map(str, tags)))


def is_up(name):
    """Return true: Open vSwitch raises its ports itself."""
    return True


def create(name, vlans, uplink=None, vxlan_device=None):
    """Make a bridge, and connect it."""
    words = ["add-br", name]
    # The same datapath as the uplink's, for a patch joins no other.
    datapath = _database().datapath_type(uplink) if uplink else ""
    if datapath:
        words += ["--", "set", "bridge", name, "datapath_type=" + datapath]
    _vsctl(*words)
    virtapi_command.run(__salt__, "ip", "link", "set", name, "up")
    connect(name, vlans, uplink)


def connect(name, vlans, uplink=None, vxlan_device=None):
    """Connect a bridge with the uplink by these VLANs, and by no other."""
    wanted = Segment(vlans)
    inner, outer = virtapi_segment.cable(name)
    if wanted.kind == "none":
        _vsctl("--if-exists", "del-port", name, inner, "--", "--if-exists", "del-port", outer)
        return
    # All in one transaction: a patch is never there without its tag. A trunk without tags would carry everything.
    if wanted.kind == "vlan":
        tags = ["tag={}".format(wanted.number), "trunks=[]"]
    else:
        tags = ["tag=[]", "trunks=" + ",".join(map(str, wanted.tags))]
    words = ["--may-exist", "add-port", name, inner]
    words += ["--", "set", "interface", inner, "type=patch", "options:peer=" + outer]
    words += ["--", "--may-exist", "add-port", uplink, outer]
    words += ["--", "set", "interface", outer, "type=patch", "options:peer=" + inner]
    _vsctl(*words, "--", "set", "port", outer, *tags)


def bring_up(name):
    """Do nothing: Open vSwitch raises its ports itself."""


def _database():
    if _KNOWN not in __context__:
        words = ["--timeout=10", "--format=json", "--", "--columns=name,ports,datapath_type", "list", "Bridge"]
        words += ["--", "--columns=_uuid,name,tag,trunks", "list", "Port"]
        __context__[_KNOWN] = OpenvSwitch(virtapi_command.run(__salt__, "ovs-vsctl", *words))
    return __context__[_KNOWN]


def _vsctl(*words):
    """Change something."""
    forget()
    virtapi_command.run(__salt__, "ovs-vsctl", "--timeout=10", *words)
