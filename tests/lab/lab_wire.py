"""A wire between nodes: a bridge in the namespace of the first of them, to which the others are plugged. It knows networks of
the kernel, and not what the nodes are for."""
import subprocess

WIDTH = 24


def plug(node, name, address=None, device="eth0", first=None):
    """The node's `device` on the wire of the first node, where `name` is the other end. Tagged frames pass as they are."""
    if first is None:
        node.run("ip", "link", "add", device, "type", "bridge")
    else:
        subprocess.run(["ip", "-n", first.network, "link", "add", name, "type", "veth", "peer", "name", device, "netns", node.network],
                       check=True)
        first.run("ip", "link", "set", name, "master", device, "up")
    if address:
        node.run("ip", "addr", "add", f"{address}/{WIDTH}", "dev", device)
    node.run("ip", "link", "set", device, "up")
