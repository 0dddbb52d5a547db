"""File descriptors of a process: a common default of 1024 is too few for a program with viewers."""

import resource

WANTED = 65_536


def raise_descriptor_limit() -> int:
    """Raise the soft limit as far as the hard one and WANTED allow; returns what it is now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    aim = WANTED if hard == resource.RLIM_INFINITY else min(WANTED, hard)
    if soft == resource.RLIM_INFINITY or soft >= aim:
        return soft
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (aim, hard))
    except (OSError, ValueError):
        return soft
    return aim
