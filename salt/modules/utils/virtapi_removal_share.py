"""
How much of what is there a run may take away before a person has looked at it, and what to send for more. It knows numbers,
and not what they are of.
"""


def excess(number, there, what, max_removals):
    """Return how many of how many, where that is more than this many per cent, but always one; else None."""
    return "{} of {} {}".format(number, there, what) if number > max(1, there * max_removals // 100) else None


def how_to_approve(fqdn, meta):
    """Return what to send: only this very version of the document is approved."""
    return 'To approve: POST /v1/nodes/{}/approve {{"generation": {}}}'.format(fqdn, meta["generation"])
