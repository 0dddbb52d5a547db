"""The one exception a user is meant to see."""


class StudioError(Exception):
    """Something a user can cause and put right: one sentence that says what is wrong and the way out.

    The command line prints it without a traceback, the HTTP API returns it as ``detail``, and a service puts it into
    its pulse. A file's name in it that is not valid text is escaped, for none of them could send it.
    """

    def __str__(self) -> str:
        return super().__str__().encode(errors="backslashreplace").decode()


class OutOfMemoryError(StudioError):
    """A device has too little memory for what was asked of it; less may still fit."""


class NoSpaceError(StudioError):
    """A disk is full; the same may succeed when there is room again."""


def named(error: BaseException) -> str:
    """An unforeseen error as one line: its class and its words, at most 200 characters."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]


TIMED_OUT = "Immediate exit requested"  # FFmpeg's word for a wait that PyAV has ended
STALLED = "nothing has come for too long"


def short(error: BaseException) -> str:
    """An error's own words, without the path and number that FFmpeg adds."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    text = str(text).splitlines()[0].strip(" .")[:120]
    return STALLED if text == TIMED_OUT else text
