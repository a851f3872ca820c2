#!/usr/bin/env python3
"""The whole lab for people to look at: `up` starts it and ends when all is in sync, `down` removes every trace of it. In
between, a process of its own holds it."""
import argparse
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

from lab_node import Node, alive, wait_until
from lab_puppet import ROOT
from lab_salt_master import SaltMasterLab
from lab_whole import PATIENCE, SERVER, Lab

STATE = ROOT / "target/lab"
PID, LOG, READY, TRACES = (STATE / name for name in ("pid", "log", "ready", "traces"))
# What this machine is called on the wire, and the device that plugs it in.
DEVICE, ADDRESS = "virtapi-lab", "10.99.0.254"
# What converges the nodes: a Salt master and its minions, or Puppet without a master.
LABS = {"salt": SaltMasterLab, "puppet": Lab}


def holder():
    """The process that holds the lab; None where none does."""
    try:
        pid = int(PID.read_text(encoding="ascii"))
        words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
    except (OSError, ValueError):
        return None
    return pid if alive(pid) and b"lab.py\0hold" in words else None


def up(by):
    if holder():
        sys.exit("there is a lab already; `make lab-down` removes it")
    # What one has left that was killed.
    down()
    STATE.mkdir(parents=True)
    with LOG.open("w", encoding="utf-8") as log:
        process = subprocess.Popen([sys.executable, __file__, "hold", by], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                   start_new_session=True)
    PID.write_text(str(process.pid), encoding="ascii")
    with LOG.open(encoding="utf-8") as log:
        while not READY.exists() and process.poll() is None:
            print(log.read(), end="", flush=True)
            time.sleep(0.5)
        print(log.read(), end="", flush=True)
    if not READY.exists():
        sys.exit("the lab has not come up")


def hold(by):
    def tell(text):
        print(text, flush=True)

    def note(place):
        with TRACES.open("a", encoding="utf-8") as traces:
            traces.write(f"{place}\n")

    begin = time.monotonic()
    lab = LABS[by](tell, note)
    try:
        lab.let_in(DEVICE, ADDRESS)
        tell(f"they are described: http://{SERVER}:8000, the administrator's token is in {lab.server.dir}/data/admin-token")
        lab.describe()
        lab.order()
        if not lab.hypervisors[0].group:
            tell("this kernel has no device mapper, so there are no logical volumes; `make test-lab-full` has a kernel of its own for them")
        tell(f"agents run {by.capitalize()}: three monitors, their cluster and its OSDs; three VMs, with their volumes and bridges")
        lab.start_agents()
        wait_until(lab.is_in_health, PATIENCE, "Ceph is in health")
        tell("Ceph: HEALTH_OK")
        wait_until(lab.is_in_sync, PATIENCE, "all is in sync")
        tell(f"all is in sync after {time.monotonic() - begin:.0f} s. To look at it:")
        for node, words in ((lab.storage[0], "ceph status"), (lab.hypervisors[0], "virsh -c qemu:///system list")):
            tell(f"  {' '.join(node.command(words))}")
        READY.touch()
        signal.pause()
    except KeyboardInterrupt:
        pass
    finally:
        lab.remove()


def down():
    """By the process that holds it; and what that has left, if it was killed."""
    pid = holder()
    if pid:
        os.kill(pid, signal.SIGTERM)
        wait_until(lambda: not alive(pid), 300, "the end of the lab")
    for place in TRACES.read_text(encoding="utf-8").splitlines() if TRACES.exists() else []:
        clear(pathlib.Path(place))
    Node.remove_groups()
    shutil.rmtree(STATE, ignore_errors=True)


def clear(place):
    """The processes in the network of this name, the network, and the directory."""
    networks = subprocess.run(["ip", "netns", "list"], check=True, capture_output=True, encoding="utf-8").stdout.split()
    if place.name in networks:
        Node.end_strays(place.name)
        subprocess.run(["ip", "netns", "del", place.name], check=True)
    if place.exists():
        shutil.rmtree(place)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split(":", maxsplit=1)[0])
    parser.add_argument("action", choices=("up", "down", "hold"), help="hold: what `up` starts")
    parser.add_argument("by", nargs="?", choices=LABS, default="salt", help="what converges the nodes")
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("the lab needs root: it makes namespaces and runs hypervisors")
    if arguments.action == "down":
        down()
    else:
        {"up": up, "hold": hold}[arguments.action](arguments.by)


if __name__ == "__main__":
    main()
