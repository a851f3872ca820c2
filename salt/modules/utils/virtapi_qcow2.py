"""
What the header of a qcow2 file says, and which snapshots are in it, without a process for each file, and whether or not QEMU
has it open: that writes both as soon as they change.
"""

import os
import struct

import salt.utils.files
from salt.exceptions import CommandExecutionError

_MAGIC = b"QFI\xfb"


def header(path):
    """Return the size of a qcow2 file and what it is made on; None where it is no qcow2."""
    with salt.utils.files.fopen(path, "rb") as file:
        first = file.read(32)
        if len(first) < 32 or not first.startswith(_MAGIC):
            return None
        offset, length, _bits, size = struct.unpack(">QIIQ", first[8:])
        file.seek(offset)
        return size, os.fsdecode(file.read(length)) if offset else ""


def snapshots(path):
    """Return the names of the snapshots in a qcow2 file."""
    with salt.utils.files.fopen(path, "rb") as file:
        try:
            first = _part(file, 0, 72)
            if not first.startswith(_MAGIC):
                raise CommandExecutionError("{} is no qcow2".format(path))
            count, offset = struct.unpack(">IQ", first[60:])
            found = []
            for _ in range(count):
                name, offset = _snapshot(file, offset)
                found.append(name)
            return found
        except EOFError:
            raise CommandExecutionError("{}: its snapshots cannot be read".format(path))


def _snapshot(file, offset):
    """Return a name, and where the next one begins: what comes before has lengths of its own, and all of it ends at eight bytes."""
    first = _part(file, offset, 40)
    identity, name = struct.unpack(">HH", first[12:16])
    (more,) = struct.unpack(">I", first[36:])
    start = offset + 40 + more + identity
    return _part(file, start, name).decode("utf-8", "replace"), (start + name + 7) // 8 * 8


def _part(file, offset, length):
    file.seek(offset)
    found = file.read(length)
    if len(found) < length:
        raise EOFError
    return found
