"""A volume group of its own on a loop device. Without the device mapper, logical volumes cannot be activated, and so not be
made as they must be, with a clean beginning: that is not tested in the lab. What LVM notes of them is real."""
import os

from lab_documents import MIB


class VolumeGroup:
    """On a file in the directory of this node; it goes with the test."""

    def __init__(self, test, node):
        self.node, self.name = node, f"lab{os.getpid()}"
        disk = node.dir / "disk"
        with disk.open("wb") as file:
            file.truncate(256 * MIB)
        loop = node.run("losetup", "-f", "--show", disk).strip()
        test.addCleanup(node.run, "losetup", "-d", loop)
        # Of all devices, which are the machine's, it looks at this one only.
        node.path("/etc/lvm/lvm.conf").write_text(
            f'global {{ activation = 0 }}\ndevices {{ filter = [ "a|^{loop}$|", "r|.*|" ] use_devicesfile = 0 }}\n', encoding="ascii")
        node.run("vgcreate", self.name, loop)

    def make(self, *names):
        """Logical volumes of 16 MiB."""
        for name in names:
            self.node.run("lvcreate", "-y", "-Zn", "-Wn", "-L", "16m", "-n", name, self.name)

    def names(self):
        """Those that there are."""
        return self.node.run("lvs", "--noheadings", "-o", "lv_name", self.name).split()
