#!/usr/bin/env python3
"""Measures what runs of Puppet cost on a real hypervisor (tests/lab, as root), and prints ratios.

A run of an empty catalog, by the same Puppet on the same machine and in turn with what is measured, is what everything is
compared with. Nothing here is a test: no number makes it fail.
"""
import argparse
import os
import pathlib
import statistics
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
os.environ["VIRTAPI"] = str(ROOT / "target" / "dist" / "virtapi")
sys.path.insert(0, str(ROOT / "tests" / "lab"))

from lab_documents import MIB, document, interface, uuid, vm, volume  # noqa: E402
from lab_node import CERTNAME, Node, wait_until  # noqa: E402
from lab_server import LabServer  # noqa: E402

UNCHANGED, CHANGED = 0, 2
# For whatever an order takes on a machine that has other things to do.
PATIENCE = 300


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vms", type=int, default=50, help="on the hypervisor where nothing changes")
    parser.add_argument("--rounds", type=int, default=5)
    return parser.parse_args()


def seconds(action):
    begin = time.monotonic()
    action()
    return time.monotonic() - begin


def apply(node, expected):
    run = node.apply()
    if run.status != expected:
        raise RuntimeError(f"the run ended with {run.status}: {run.said}")


def empty(node):
    """A run in which there is nothing to do or to look at, in seconds. Its manifest is no file: the agent has one there."""
    return seconds(lambda: node.puppet("apply", "--execute", "").check_returncode())


def without_changes(node, count, rounds):
    """Runs of an empty catalog, and of a hypervisor on which all is as it must be, each in turn."""
    def machine(number):
        disk = volume(number, "qcow2", path=str(node.storage / f"vol-{number}.qcow2"))
        return vm(9000 + number, [interface(9000 + number, number)], [disk], ram_bytes=16 * MIB)

    node.document(document({uuid(number): machine(number) for number in range(1, count + 1)}, node.storage))
    apply(node, CHANGED)
    pairs = [(seconds(lambda: apply(node, UNCHANGED)), empty(node)) for _ in range(rounds)]
    node.clear()
    return pairs


def orders(node, server, rounds):
    """From `POST /v1/vms` to the running domain, beside runs of an empty catalog."""
    server.post("nodes", fqdn=CERTNAME, state="running")
    server.post("hypervisors", node=CERTNAME, cores=2 * rounds, ram_bytes=4096 * MIB, virt_methods=["KVM"],
                local_storage_path=str(node.storage))
    server.start_agent()
    pairs = []
    for number in range(1, rounds + 1):
        wait_until(lambda: server.ask("GET", f"/v1/nodes/{CERTNAME}?fields=status")["status"] == "in_sync", PATIENCE, "nothing is to be done")
        alone = empty(node)
        begin = time.monotonic()
        made = server.post("vms", uuid=uuid(number), name=f"web-{number}", cores=1, ram_bytes=16 * MIB, state="running",
                           virt_method="KVM", hypervisor=CERTNAME)
        wait_until(lambda: node.guest(f"vm-{made['id']}"), PATIENCE, "the machine runs")
        pairs.append((time.monotonic() - begin, alone))
    return pairs


def row(what, pairs, aim):
    ours, theirs = (statistics.median(column) for column in zip(*pairs))
    ratios = [ours / theirs for ours, theirs in pairs]
    print(f"  {what:<44}{ours:>10.2f}{theirs:>11.2f}{statistics.median(ratios):>8.2f}  {min(ratios):.2f}-{max(ratios):.2f}"
          f"   {aim.format(ours - theirs)}", flush=True)


def main():
    args = arguments()
    node = Node()
    print(f"\n  {'':<44}{'ours, s':>10}{'empty, s':>11}{'ratio':>8}  {'min-max':<9}   aim")
    try:
        pairs = without_changes(node, args.vms, args.rounds)
        row(f"a run that changes nothing of {args.vms} VMs : empty", pairs, "under 2 s more (here {:.2f})")
        server = LabServer(node)
        try:
            row("POST /v1/vms to the running domain : empty", orders(node, server, args.rounds), "begun within 1 s (here {:.2f} more)")
        finally:
            server.remove()
    finally:
        node.remove()


if __name__ == "__main__":
    main()
