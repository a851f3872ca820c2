"""A hypervisor whose virsh, qemu-img and rbd are stand-ins: with a qcow2 file, and a pool with an image."""

import pytest
import storage_stand_in
import virsh_stand_in
import virtapi_command
from libvirt_stub import Libvirt, libvirt
from salt.exceptions import CommandExecutionError

PAST, OVER, FUTURE = "2020-12-01T02:00:00Z", "2020-12-02T02:00:00Z", "2099-12-01T02:00:00Z"
CLUSTER = {"fsid": "a0000000-0000-4000-8000-000000000009", "mons": [{"address": "10.1.0.11", "port": 6789}]}
RBD = {"type": "rbd", "cluster": "ceph", "pool": "rbd", "image": "vol-2"}
IMAGE = "rbd/vol-2"


def snapshot(name, take_at=PAST, keep_until=None):
    return {"name": name, "take_at": take_at, "keep_until": keep_until}


class Storage(Libvirt):
    """What changes something is in ``commands``, of rbd what only looks in ``looks``."""

    def __init__(self, place):
        super().__init__()
        self.path = str(place / "vol-1.qcow2")
        self.looks = []
        self.images = {IMAGE: {"size": 1, "data": "old", "snapshots": {}}}
        self.hold(size=1, data="old", snapshots={})

    def held(self):
        return storage_stand_in.held(self.path)

    def hold(self, **changes):
        storage_stand_in.hold(self.path, dict(self.held(), **changes))

    @property
    def open(self):
        running = (each["running"] for each in self.domains.values() if each["state"].startswith(("running", "paused")))
        return [path for text in running for path in virsh_stand_in.disks(text).values()]

    def run(self, functions, *words, secret=False):
        words = [str(word) for word in words]
        if words[0] == "virsh":
            if "query-block" not in words[-1]:
                return super().run(functions, *words)
            return virsh_stand_in.answer(self.domains, words[4:])
        looks = {"ls", "status", "info"} & set(words)
        (self.looks if looks else self.commands).append(" ".join(words[:1] + words[10:] if words[0] == "rbd" else words))
        try:
            return storage_stand_in.rbd(self.images, words[1:]) if words[0] == "rbd" else storage_stand_in.qemu_img(self.open, words[1:])
        except storage_stand_in.Refused as error:
            raise CommandExecutionError("{}: {}".format(words[0], error))


@pytest.fixture
def storage(monkeypatch, tmp_path, libvirt):
    storage = Storage(tmp_path)
    monkeypatch.setattr(virtapi_command, "run", storage.run)
    # The one that machines are converged on.
    storage.domains = libvirt.domains
    storage.filters = libvirt.filters
    monkeypatch.setattr(libvirt, "commands", storage.commands)
    return storage
