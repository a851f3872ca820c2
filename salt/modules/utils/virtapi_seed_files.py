"""
The NoCloud seed of a VM, from which cloud-init in its guest has keys, user data and network: what its image is called, or the
directory that a container has.

docs/convergence.md has the rules. It looks at no disk: that is the module ``virtapi_seed``'s.
"""

import hashlib
import re

from salt.exceptions import CommandExecutionError

# Where QEMU comes to, whoever it runs as, also on a hypervisor without a directory for volumes.
DIRECTORY = "/var/lib/libvirt/virtapi-seeds"
# Without one of these a seed is none for cloud-init.
_NEEDED = {"meta-data": "", "user-data": ""}
_NAME = "[a-z-]+"


def is_seed(value):
    """Return whether these are texts by the names of files."""
    return isinstance(value, dict) and all(
        isinstance(name, str) and re.fullmatch(_NAME, name) and isinstance(text, str) for name, text in value.items()
    )


def of_pillar(pillar, uuid, vm):
    """Return what is in the files of a VM's seed; None without one."""
    if not vm.get("seed"):
        return None
    found = pillar.get("virtapi", {}).get("hypervisor", {}).get("vms", {}).get(uuid, {}).get("seed")
    if not found or not is_seed(found) or sorted(found) != sorted(vm["seed"]):
        raise CommandExecutionError("{}: the pillar does not have its seed".format(vm["domain"]))
    return found


def files(seed):
    """Return the contents by name, in their order."""
    return {name: text.encode("utf-8") for name, text in sorted(dict(_NEEDED, **seed).items())}


def digest(seed):
    """Return what is another one for other contents: the image's name has it."""
    parts = []
    for name, content in files(seed).items():
        parts.extend([name.encode("ascii"), str(len(content)).encode("ascii"), content])
    return hashlib.sha256(b"\n".join(parts)).hexdigest()[:32]


def path(uuid, seed):
    """Return where the image of a VM's seed is."""
    return "{}/{}-{}.iso".format(DIRECTORY, uuid, digest(seed))


def directory(uuid, seed, group):
    """Return what a container has of it, whose root is in this group of the hypervisor."""
    return "{}/{}-{}-{}".format(DIRECTORY, uuid, digest(seed), group)


def digest_of(image):
    """Return the digest of an image or a directory by its path, or the path where it is none of ours."""
    found = re.search(r"-([0-9a-f]{32})(?:\.iso|-[0-9]+)$", image)
    return found.group(1) if found else image
