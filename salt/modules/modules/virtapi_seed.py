"""
Images of the NoCloud seeds of machines, or the directories of containers: which are there, how one is built, and that they go.

There may be secrets in them: nobody but root, QEMU and the container reads them, no command is given any of it, and no function
returns it. When they are built and deleted, the states ``virtapi_domain``, ``virtapi_container`` and ``virtapi_removals`` decide.
"""

import contextlib
import os
import re
import shutil

import salt.utils.files
import salt.utils.platform
import virtapi_command
import virtapi_seed_files

# What cloud-init looks for.
_LABEL = "cidata"


def __virtual__():
    """Only where there can be a hypervisor."""
    return salt.utils.platform.is_linux() or (False, "virtapi_seed needs Linux")


def images(uuid):
    """
    Return the paths of the images or directories of a VM that are there, and of what an interrupted run has left.

    .. code-block:: bash

        salt '*' virtapi_seed.images 6f1c2a34-0000-4000-8000-000000000001
    """
    directory = virtapi_seed_files.DIRECTORY
    if not os.path.isdir(directory):
        return []
    ours = re.compile(re.escape(uuid) + r"(-[0-9a-f]{32}(\.iso|-[0-9]+)|\.unfinished)")
    return [os.path.join(directory, name) for name in sorted(os.listdir(directory)) if ours.fullmatch(name)]


def build(uuid, seed):
    """Build the image of a seed: whole under its name, or not there."""
    with _in_the_making(uuid) as work:
        os.rename(_image(seed, work), virtapi_seed_files.path(uuid, seed))


def spread(uuid, seed, group):
    """
    Write the files of a seed for a container, whose root reads them by this group: whole, or not there.

    That it is the owner's of nothing in there keeps it from writing, whatever becomes of the mount.
    """
    with _in_the_making(uuid) as work:
        os.rename(_shared(_files(seed, work), group), virtapi_seed_files.directory(uuid, seed, group))


def delete(paths):
    """Delete images, directories, and what an interrupted run has left."""
    for path in paths:
        if os.path.isdir(path):
            shutil.rmtree(path)
        else:
            os.unlink(path)


@contextlib.contextmanager
def _in_the_making(uuid):
    """Give a directory of root's alone to build in."""
    directory = virtapi_seed_files.DIRECTORY
    if not os.path.isdir(directory):
        os.makedirs(directory)
        # QEMU passes through; whose images there are is nobody's to see.
        os.chmod(directory, 0o711)
    work = os.path.join(directory, uuid + ".unfinished")
    delete([work] if os.path.exists(work) else [])
    os.mkdir(work, 0o700)
    try:
        yield work
    finally:
        delete([work])


def _files(seed, work):
    directory = os.path.join(work, "files")
    os.mkdir(directory)
    for name, content in virtapi_seed_files.files(seed).items():
        with salt.utils.files.fopen(os.path.join(directory, name), "wb") as file:
            file.write(content)
    return directory


def _shared(directory, group):
    for path in [os.path.join(directory, name) for name in os.listdir(directory)] + [directory]:
        os.chown(path, 0, group)
        os.chmod(path, 0o750 if path == directory else 0o640)
        descriptor = os.open(path, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)
    return directory


def _image(seed, work):
    directory, image = _files(seed, work), os.path.join(work, "image")
    words = ["-quiet", "-output", image, "-volid", _LABEL, "-joliet", "-rational-rock", directory]
    virtapi_command.run(__salt__, "xorrisofs", *words)
    # libvirt gives it to QEMU's user when that is to open it.
    os.chmod(image, 0o600)
    with salt.utils.files.fopen(image, "rb") as file:
        os.fsync(file.fileno())
    return image
