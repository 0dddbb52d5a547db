"""Limit of a process's file descriptors: the common default of 1024 is too low for a program with many viewers."""

import resource

WANTED = 65_536


def raise_descriptor_limit() -> int:
    """Raise the soft limit to WANTED or the hard limit, whichever is lower; return the soft limit afterwards."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    aim = WANTED if hard == resource.RLIM_INFINITY else min(WANTED, hard)
    if soft == resource.RLIM_INFINITY or soft >= aim:
        return soft
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (aim, hard))
    except (OSError, ValueError):
        return soft
    return aim
