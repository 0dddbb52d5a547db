"""Why something that the studio could use cannot run on this machine."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Unavailable:
    """Why an engine or a voice cannot run on this machine.

    reason: one sentence with the way out. command: the one that helps, or "".
    """

    reason: str
    command: str = ""
