"""A machine with a kernel of its own, which has what the one that the tests run on may lack: VLANs, and logical volumes that are
active. It has the files of this machine, and what it writes to them is its own and goes with it; so all programs and tests are in
it, and nothing here changes. Nobody needs KVM, nor a disk with a system.

It knows nothing of what is tested in it: it runs a command, and says how that ended."""
import contextlib
import os
import pathlib
import shlex
import shutil
import signal
import subprocess
import tempfile

from lab_node import wait_until
from lab_salt import CACHE

KERNEL, MODULES = CACHE / "virtapi/lab/kernel", CACHE / "virtapi/lab/modules"
DISK_BYTES = 256 * 1024**2
BUSYBOX = "/bin/busybox"
# What of this process's surroundings the command shall have.
VARIABLES = ("PATH", "HOME", "XDG_CACHE_HOME", "VIRTAPI_SALT_DIR", "SALT_RELEASE")

# Layers that are written to (lab_node) cannot be on other layers, hence what is at /tmp; and what programs here write in their caches
# while this machine is up shall not change under those in it.
INIT = """#!/bin/busybox sh
for program in mount insmod mkdir cat ip hostname stty; do alias $program="/bin/busybox $program"; done
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
for module in $(cat /modules/list); do
    [ ! -e /modules/$module.ko ] || insmod /modules/$module.ko
done
mkdir /host /written
mount -t virtiofs -o ro host /host
mount -t tmpfs tmpfs /written
mkdir /written/upper /written/work
mount -t overlay -o lowerdir=/host,upperdir=/written/upper,workdir=/written/work overlay /root
for place in run tmp var/cache; do mount -t tmpfs tmpfs /root/$place; done
mkdir /root/run/lock
for place in proc sys dev; do mount --move /$place /root/$place; done
mkdir /root/dev/pts /root/dev/shm
mount -t devpts devpts /root/dev/pts
mount -t tmpfs tmpfs /root/dev/shm
mount -t securityfs securityfs /root/sys/kernel/security
ip link set lo up
cat /begin >/root/run/begin
cat /command >/root/run/command
exec /bin/busybox switch_root /root /bin/sh /run/begin
"""
# Closing the line waits until all has been sent.
BEGIN = f"""stty -F /dev/ttyS1 raw
{{ bash /run/command; printf '\\nended: %s\\n' $?; }} </dev/null >/dev/ttyS1 2>&1
{BUSYBOX} poweroff -f
"""


def machine_run(words, seconds):
    """Boots one, which is off again when this returns: the exit status of the command, None where it did not come to its end, and
    what it said. Its first disk, /dev/vda, is empty."""
    # Otherwise nothing is cleaned up when this process is ended.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with contextlib.ExitStack() as cleanups:
        place = pathlib.Path(tempfile.mkdtemp(prefix="virtapi-kernel-"))
        cleanups.callback(shutil.rmtree, place)
        make_initrd(place, words)
        with (place / "disk").open("wb") as disk:
            disk.truncate(DISK_BYTES)
        with (place / "log").open("wb") as log:
            files = start(cleanups, log, "/usr/lib/qemu/virtiofsd", f"--socket-path={place}/files", "-o", "source=/", "-o", "cache=always",
                          "-o", "sandbox=chroot")
            wait_until(lambda: (place / "files").exists() or files.poll() is not None, 60, "virtiofsd")
            machine = start(cleanups, log, *machine_words(place))
        with contextlib.suppress(subprocess.TimeoutExpired):
            machine.wait(seconds)
        said, console = ((place / name).read_text(encoding="utf-8", errors="replace") if (place / name).exists() else ""
                         for name in ("said", "console"))
        said, found, status = said.rpartition("\nended: ")
        if not found:
            return None, "\n".join((status, console, (place / "log").read_text(encoding="utf-8")))
        return int(status), said


def start(cleanups, log, *words):
    """A process that ends with this stack, if not before."""
    process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    cleanups.callback(process.wait)
    cleanups.callback(process.kill)
    return process


def make_initrd(place, words):
    """All that it needs to find this machine's files; and the command."""
    root = place / "root"
    for name in ("bin", "proc", "sys", "dev", "root"):
        (root / name).mkdir(parents=True)
    shutil.copy(BUSYBOX, root / "bin/busybox")
    shutil.copytree(MODULES, root / "modules")
    (root / "init").write_text(INIT, encoding="ascii")
    (root / "init").chmod(0o755)
    (root / "begin").write_text(BEGIN, encoding="ascii")
    variables = [f"export {name}={shlex.quote(os.environ[name])}\n" for name in VARIABLES if name in os.environ]
    (root / "command").write_text("".join(variables) + shlex.join(map(str, words)) + "\n", encoding="utf-8")
    with (place / "initrd").open("wb") as initrd:
        subprocess.run(["sh", "-c", f"find . | {BUSYBOX} cpio -o -H newc"], cwd=root, stdout=initrd, stderr=subprocess.DEVNULL, check=True)


def machine_words(place):
    return ["qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "2G", "-nodefaults", "-nographic",
            "-no-reboot", "-serial", f"file:{place}/console", "-serial", f"file:{place}/said",
            "-object", "memory-backend-memfd,id=memory,size=2G,share=on", "-numa", "node,memdev=memory",
            "-chardev", f"socket,id=files,path={place}/files", "-device", "vhost-user-fs-pci,chardev=files,tag=host",
            "-drive", f"file={place}/disk,if=virtio,format=raw",
            "-kernel", KERNEL, "-initrd", place / "initrd", "-append", "console=ttyS0 quiet panic=-1 mitigations=off"]
