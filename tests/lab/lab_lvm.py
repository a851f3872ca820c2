"""Volume groups of a node's own. Without the device mapper, logical volumes cannot be activated, and so not be made as they must be,
with a clean beginning: on a machine that lacks it there is only what LVM notes of them, which is real. Those that are active are in the
lab where the kernel allows it, and in a machine with a kernel of its own (lab_kernel)."""
import os
import pathlib

from lab_documents import MIB

MAPPER = pathlib.Path("/dev/mapper/control")


def can_activate(node):
    """Whether the kernel has the device mapper."""
    return MAPPER.exists() and "Driver version" in node.run("dmsetup", "version", check=False)


class VolumeGroup:
    """On a file in the directory of this node; it goes when `keep`, which is told what to do at the end, does that. Its volumes are
    not active."""

    settings, make_words = "global { activation = 0 }", ("-Zn", "-Wn")

    def __init__(self, keep, node):
        self.node, self.name = node, f"lab{os.getpid()}{node.network[-8:]}"
        disk = self.disk(keep)
        # Of all devices, which are the machine's, it looks at this one only.
        node.path("/etc/lvm/lvm.conf").write_text(
            f'{self.settings}\ndevices {{ filter = [ "a|^{disk}$|", "r|.*|" ] use_devicesfile = 0 }}\n',
            encoding="ascii")
        node.run("vgcreate", self.name, disk)

    def disk(self, keep):
        """The device that it is on."""
        file = self.node.dir / "disk"
        with file.open("wb") as disk:
            disk.truncate(256 * MIB)
        loop = self.node.run("losetup", "-f", "--show", file).strip()
        keep(self.node.run, "losetup", "-d", loop)
        return loop

    def make(self, *names):
        """Logical volumes of 16 MiB."""
        for name in names:
            self.node.run("lvcreate", "-y", *self.make_words, "-L", "16m", "-n", name, self.name)

    def names(self):
        """Those that there are."""
        return self.node.run("lvs", "--noheadings", "-o", "lv_name", self.name).split()


class ActiveVolumeGroup(VolumeGroup):
    """One whose volumes are active. LVM makes their devices' names itself, for there may be no udev."""

    settings, make_words = "activation { udev_sync = 0 udev_rules = 0 verify_udev_operations = 1 }", ()

    def __init__(self, keep, node):
        super().__init__(keep, node)
        # Else the file that it is on would be kept by them.
        keep(node.run, "vgchange", "-an", self.name)

    def noted(self, name, field):
        """What LVM says of a volume."""
        return self.node.run("lvs", "--noheadings", "--units", "m", "-o", field, f"{self.name}/{name}").strip()

    def device(self, name):
        return f"/dev/{self.name}/{name}"


class DiskVolumeGroup(ActiveVolumeGroup):
    """On the whole first disk of a machine that is the test's own."""

    def disk(self, keep):
        return "/dev/vda"
