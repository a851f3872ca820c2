"""
How the daemons of Ceph are started and stopped: as units of systemd, or directly, with files of process ids, where there is
no systemd.
"""

import os
import re
import signal
import time

import salt.utils.files
import virtapi_ceph_command
import virtapi_command
from salt.exceptions import CommandExecutionError

# Seconds for a daemon to end, for a monitor to come into quorum, and for an OSD to come up.
_END = 60
QUORUM = 30
UP = 60
_DEFAULTS = "/etc/default/ceph"


def within(seconds, condition):
    """Return whether the condition comes true in these seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.5)
    return True


def of(functions, init, cluster, kind, ident):
    """Return a daemon: ``kind`` is mon, mgr or osd; ``init`` is systemd or direct."""
    return (_Direct if init == "direct" else _Unit)(functions, cluster, kind, ident)


class _Daemon:
    def __init__(self, functions, cluster, kind, ident):
        self.functions = functions
        self.cluster = cluster
        self.kind = kind
        self.ident = ident
        self.data = "{}/{}/{}-{}".format(virtapi_ceph_command.LIB, kind, cluster, ident)

    def make_data(self):
        """Make its directory, which is its own."""
        for path in (os.path.dirname(self.data), self.data):
            os.makedirs(path, exist_ok=True)
            virtapi_ceph_command.own(path)

    def ask(self, question):
        """Return what it says of itself, without the cluster; None when it does not run."""
        name = "{}.{}".format(self.kind, self.ident)
        return virtapi_ceph_command.ask_daemon(self.functions, self.cluster, name, question)


class _Direct(_Daemon):
    """A daemon with a file that has its process id."""

    def running(self):
        return self._pid() is not None

    def start(self):
        owner = virtapi_ceph_command.OWNER
        os.makedirs(virtapi_ceph_command.RUN, exist_ok=True)
        virtapi_ceph_command.own(virtapi_ceph_command.RUN)
        words = ["--cluster", self.cluster, "--id", self.ident, "--setuser", owner, "--setgroup", owner]
        virtapi_ceph_command.execute(self.functions, "ceph-" + self.kind, *words, "--pid-file", self._path())

    def stop(self):
        pid = self._pid()
        if pid is None:
            return
        try:
            os.kill(pid, signal.SIGTERM)
        except ProcessLookupError:
            return
        if not within(_END, lambda: not self.running()):
            raise CommandExecutionError("{}.{} of {} does not end".format(self.kind, self.ident, self.cluster))

    def _path(self):
        return "{}/{}-{}.{}.pid".format(virtapi_ceph_command.RUN, self.cluster, self.kind, self.ident)

    def _pid(self):
        """None when it does not run: the number may be another's by now."""
        try:
            with salt.utils.files.fopen(self._path(), encoding="ascii") as file:
                pid = int(file.read())
            with salt.utils.files.fopen("/proc/{}/cmdline".format(pid), "rb") as file:
                program = file.read().split(b"\0")[0]
        except (OSError, ValueError):
            return None
        return pid if os.path.basename(program) == b"ceph-" + self.kind.encode() else None


class _Unit(_Daemon):
    """A unit of systemd, as Ceph's packages have them: all those of a node are of one cluster."""

    def running(self):
        return self._says("is-active")

    def start(self):
        self._refuse_other_cluster()
        self._systemctl("enable")
        if self._says("is-failed"):
            # One that has failed too often is not started again.
            self._systemctl("reset-failed")
        self._systemctl("start")

    def stop(self):
        self._systemctl("disable", "--now")

    def _unit(self):
        return "ceph-{}@{}.service".format(self.kind, self.ident)

    def _systemctl(self, *words):
        virtapi_command.run(self.functions, "systemctl", *words, self._unit())

    def _says(self, question):
        ran = virtapi_command.result(self.functions, "systemctl", question, "--quiet", self._unit())
        return ran["retcode"] == 0

    def _refuse_other_cluster(self):
        try:
            with salt.utils.files.fopen(_DEFAULTS, encoding="utf-8") as file:
                found = re.search("^CLUSTER=[\"']?([^\"'\\s]+)", file.read(), re.MULTILINE)
        except FileNotFoundError:
            found = None
        of_units = found.group(1) if found else "ceph"
        if of_units != self.cluster:
            message = "the units of systemd are for cluster {}, and not {} (CLUSTER in {})"
            raise CommandExecutionError(message.format(of_units, self.cluster, _DEFAULTS))
