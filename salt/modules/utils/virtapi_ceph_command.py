"""
Ceph's own programs: questions and commands to the monitors of one cluster, and where a node has what is Ceph's.

Words are arguments of a process, and what is secret is in files that only their owner reads: neither a shell nor a log sees
it.
"""

import contextlib
import glob
import json
import os
import re
import shutil
import tempfile

import salt.utils.files
import virtapi_command
from salt.exceptions import CommandExecutionError

ETC = "/etc/ceph"
LIB = "/var/lib/ceph"
RUN = "/run/ceph"
ADMIN = "client.admin"
# A cluster, and what daemons and keys are called there.
NAME = r"([^/\s.-][^/\s]*)/([^/\s-][^/\s]*)"
# Whose are the daemons and their files.
OWNER = "ceph"
# Seconds for a monitor to answer, and for an answer to be whole.
_CONNECT = 10
_LIMIT = 60
# The exit status of `timeout`.
_TIMED_OUT = 124
# What the environment could have it take for another cluster's settings.
_CLEAN = ("env", "-u", "CEPH_CONF", "-u", "CEPH_ARGS", "-u", "CEPH_KEYRING")


class Away(CommandExecutionError):
    """No monitor has answered: the cluster may not be there, or have no quorum."""


def execute(functions, *words, secret=False, limit=False):
    """Return what a program of Ceph writes, or raise with what it says is wrong."""
    limits = ("timeout", _LIMIT) if limit else ()
    ran = virtapi_command.result(functions, *_CLEAN, *limits, *words, secret=secret)
    if ran["retcode"] == 0:
        return ran["stdout"]
    # What Ceph itself logs to its standard error begins with a time.
    lines = [line.strip() for line in ran["stderr"].splitlines()]
    reason = " ".join(line for line in lines if line and not re.match(r"\d{4}-\d\d-\d\dT", line))
    timed_out = limit and ran["retcode"] == _TIMED_OUT
    if timed_out:
        reason = "no answer within {} s".format(_LIMIT)
    if timed_out or "timed out" in reason:
        raise Away("{}: the cluster does not answer ({})".format(words[0], reason))
    raise CommandExecutionError("{}: {}".format(words[0], reason or "exit code {}".format(ran["retcode"])))


def run(functions, cluster, *words):
    """Return what the cluster says, asked as its administrator, whose keyring is where Ceph looks for it."""
    connection = ("ceph", "--cluster", cluster, "--name", ADMIN, "--connect-timeout", _CONNECT)
    return execute(functions, *connection, *words, secret="auth" in words, limit=True)


def ask(functions, cluster, *words):
    """Return what the cluster says, read."""
    return json.loads(run(functions, cluster, "--format", "json", *words))


def ask_daemon(functions, cluster, name, question):
    """Return what a daemon of this node says of itself, without the cluster; None when it does not run."""
    try:
        return json.loads(execute(functions, "ceph", "--cluster", cluster, "daemon", name, question, limit=True))
    except CommandExecutionError:
        return None


def clusters():
    """Return the names of the clusters that this node has settings of."""
    return sorted(os.path.basename(path)[: -len(".conf")] for path in glob.glob(ETC + "/*.conf"))


def known(cluster):
    """Return whether this node knows yet where a cluster is, and who it is itself there. In a dry run it may not."""
    return os.path.exists(settings_path(cluster)) and os.path.exists(keyring_path(cluster, ADMIN))


def settings_path(cluster):
    """Return the file of a cluster's settings."""
    return "{}/{}.conf".format(ETC, cluster)


def keyring_path(cluster, entity):
    """Return the file of a key."""
    # That of the monitors is called `mon.` there.
    return "{}/{}.{}.keyring".format(ETC, cluster, entity.rstrip("."))


def data(kind, cluster):
    """Return the directories of a cluster's daemons of a kind, by their ids."""
    beginning = "{}/{}/{}-".format(LIB, kind, cluster)
    return {path[len(beginning) :]: path for path in sorted(glob.glob(glob.escape(beginning) + "*"))}


@contextlib.contextmanager
def directory():
    """Have a directory for what a program reads once, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="virtapi") as path:
        own(path)
        yield path


def write(path, text):
    """Write a file that only the daemons read."""
    with salt.utils.files.set_umask(0o077), salt.utils.files.fopen(path, "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(text)
    own(path)


def own(path):
    """Give something to the daemons."""
    shutil.chown(path, OWNER, OWNER)
