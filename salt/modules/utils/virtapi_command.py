"""
Commands of this machine, each as a list of words that no shell reads.
"""

import os

import salt.utils.files
from salt.exceptions import CommandExecutionError


def run(functions, *words, secret=False):
    """
    Return what a command writes, or raise with what it says is wrong.

    ``functions`` are the caller's ``__salt__``; what a secret one writes comes into no log.
    """
    ran = result(functions, *words, secret=secret)
    if ran["retcode"] != 0:
        said = " ".join((ran["stderr"] or ran["stdout"]).split())
        raise CommandExecutionError("{}: {}".format(words[0], said or "exit code {}".format(ran["retcode"])))
    return ran["stdout"]


def result(functions, *words, secret=False):
    """Return ``retcode``, ``stdout`` and ``stderr`` of a command, whatever came of it."""
    return functions["cmd.run_all"](
        [str(word) for word in words],
        python_shell=False,
        ignore_retcode=True,
        output_encoding="utf-8",
        output_loglevel="quiet" if secret else "trace",
    )


def virsh(functions, *words, secret=False):
    """Return what this machine's libvirt says."""
    uri = os.environ.get("LIBVIRT_DEFAULT_URI", "qemu:///system")
    return run(functions, "virsh", "-q", "-c", uri, *words, secret=secret)


def with_file(text, use):
    """Call a function with the path of a file that only this process's user reads, gone afterwards."""
    path = salt.utils.files.mkstemp(prefix="virtapi")
    try:
        with salt.utils.files.fopen(path, "w", encoding="utf-8") as file:
            file.write(text)
        use(path)
    finally:
        os.unlink(path)
