"""Exceptions whose message is shown to users, and one-line descriptions of other exceptions."""


class StudioError(Exception):
    """An error that a user can cause and correct; its message is one sentence with the problem and the remedy.

    The command line prints it without a traceback, the HTTP API returns it as ``detail``, and a service reports it in
    its pulse. Lone surrogates, as in a file name that is not valid UTF-8, are escaped, because none of these can send
    them.
    """

    def __str__(self) -> str:
        return super().__str__().encode(errors="backslashreplace").decode()


class OutOfMemoryError(StudioError):
    """A device has too little memory for the work; a smaller amount may still fit."""


class NoSpaceError(StudioError):
    """A disk is full; the same work may succeed after space is freed."""


def named(error: BaseException) -> str:
    """Return an unexpected error as one line of at most 200 characters: its class and its message."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]


TIMED_OUT = "Immediate exit requested"  # FFmpeg's message when PyAV ends a read after its timeout
STALLED = "no data was received in time"


def short(error: BaseException) -> str:
    """Return an error's message, at most 120 characters, without the path and number that FFmpeg adds."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    text = str(text).splitlines()[0].strip(" .")[:120]
    return STALLED if text == TIMED_OUT else text
