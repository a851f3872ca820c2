"""
A golden image, from which a volume is made: that it is one that the volume can be made from, and what is made of it. It is only
read, and whose the volume is it does not know.
"""

import hashlib
import os

import salt.utils.files
import virtapi_command
import virtapi_qcow2
from salt.exceptions import CommandExecutionError

# What an ext2, ext3 or ext4 has where, when nothing is before it.
_EXT = b"\x53\xef"
_EXT_PLACE = 1080


class GoldenImage:
    """The one that a volume of the document has."""

    def __init__(self, volume):
        backing = volume["backing"]
        self._path = backing["path"]
        self._format = backing["format"]
        self._checksum = backing["checksum"]
        self._here = "{}: the golden image {}".format(volume["path"], self._path)

    def check(self, size):
        """Raise where no volume of so many bytes is made from it."""
        if not os.path.exists(self._path):
            raise CommandExecutionError(self._here + " is not here")
        least = os.path.getsize(self._path) if self._format != "qcow2" else (virtapi_qcow2.header(self._path) or [None])[0]
        if least is None:
            raise CommandExecutionError(self._here + " is no qcow2")
        if least > size:
            raise CommandExecutionError("{} has {} bytes, the volume only {}".format(self._here, least, size))

    def check_contents(self):
        """Raise where it is another one than the document means; all of it is read for that."""
        if not self._checksum:
            return
        kind, expected = self._checksum.split(":", 1)
        found = hashlib.new(kind)
        with salt.utils.files.fopen(self._path, "rb") as file:
            for part in iter(lambda: file.read(1 << 20), b""):
                found.update(part)
        if found.hexdigest() != expected:
            message = "{} is another one: its checksum is {}:{}"
            raise CommandExecutionError(message.format(self._here, kind, found.hexdigest()))

    @property
    def words(self):
        """For ``qemu-img create``: what stays below the volume."""
        return ["-b", self._path, "-F", self._format]

    def copy(self, functions, path):
        """Copy it into a raw file that is as large as the volume and empty; ``functions`` are the caller's ``__salt__``."""
        words = ["-q", "-n", "--target-is-zero", "-f", self._format, "-O", "raw", self._path, path]
        virtapi_command.run(functions, "qemu-img", "convert", *words)
        with salt.utils.files.fopen(path, "rb") as file:
            file.seek(_EXT_PLACE)
            is_ext = file.read(len(_EXT)) == _EXT
        if is_ext:
            self._fill(functions, path)
        with salt.utils.files.fopen(path, "rb") as file:
            os.fsync(file.fileno())

    def _fill(self, functions, path):
        """Make its file system as large as the file: who has it for a root, and not for a disk, could not do that."""
        checked = virtapi_command.result(functions, "e2fsck", "-f", "-p", path)
        # 1: something was put right.
        if checked["retcode"] > 1:
            said = " ".join((checked["stdout"] + checked["stderr"]).split())
            raise CommandExecutionError("{} has a file system that is damaged: {}".format(self._here, said))
        virtapi_command.run(functions, "resize2fs", path)
