"""The reason why an engine or a voice cannot run on this machine."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Unavailable:
    """The reason why an engine or a voice cannot run on this machine.

    reason: one sentence with the remedy. command: the shell command that helps, or "".
    """

    reason: str
    command: str = ""
