"""
Commands of this machine, each as a list of words that no shell reads.
"""

from salt.exceptions import CommandExecutionError


def run(functions, *words, secret=False):
    """
    Return what a command writes, or raise with what it says is wrong.

    ``functions`` are the caller's ``__salt__``; what a secret one writes comes into no log.
    """
    words = [str(word) for word in words]
    ran = functions["cmd.run_all"](
        words,
        python_shell=False,
        ignore_retcode=True,
        output_encoding="utf-8",
        output_loglevel="quiet" if secret else "trace",
    )
    if ran["retcode"] != 0:
        said = " ".join((ran["stderr"] or ran["stdout"]).split())
        raise CommandExecutionError("{}: {}".format(words[0], said or "exit code {}".format(ran["retcode"])))
    return ran["stdout"]
