"""A media file being written: whole or absent, marked as AI-generated, a failure in one sentence."""

import errno
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import av.error

from shared.errors import NoSpaceError, StudioError

COMMENT = "AI-generated"
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})


class Finished(ABC):
    """Something written that is finished when its ``with`` block ends, and given up when that fails."""

    @abstractmethod
    def close(self) -> None:
        """Finish it."""

    @abstractmethod
    def abort(self) -> None:
        """Give up."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()


class MediaFile(Finished):
    """An FFmpeg container to write into, within ``with file.writing():``.

    in_place=False: written to `<name>.part` and renamed when closed, so that the name only ever means a whole file;
        `abort` (or an exception inside ``with``) leaves nothing.
    in_place=True: written under its own name, for files that are of use unfinished.
    Raises StudioError when the file cannot be written, now or later; NoSpaceError when the disk is full.
    """

    def __init__(self, path: Path, form: str, options: Mapping[str, str], *, in_place: bool = False) -> None:
        """form: FFmpeg's name of the format; options: of its writer."""
        self.path = Path(path)
        self._part = self.path if in_place else self.path.with_name(self.path.name + ".part")
        self._closed = False
        with self.writing():
            self._part.open("wb").close()  # ffmpeg would not try before the first packet is there
            self.container = av.open(
                str(self._part.absolute()), "w", format=form, options={"flush_packets": "1", **options}
            )
        self.container.metadata["comment"] = COMMENT

    @contextmanager
    def writing(self) -> Iterator[None]:
        """A failed write as one sentence, with nothing half-written left."""
        try:
            yield
        except (av.error.FFmpegError, OSError) as error:
            self.abort()
            if getattr(error, "errno", None) in _NO_ROOM:
                raise NoSpaceError(
                    f"The disk is full, so {self.path.name} could not be finished; free some space and try again."
                ) from None
            reason = getattr(error, "strerror", None) or error
            raise StudioError(f"{self.path} cannot be written ({reason}); choose another place.") from None

    def close(self) -> None:
        """Finish the file: its encoders were flushed. Does nothing the second time."""
        if self._closed:
            return
        with self.writing():
            self.container.close()
            self._closed = True
            if self._part != self.path:
                os.replace(self._part, self.path)

    @property
    def closed(self) -> bool:
        return self._closed

    def abort(self) -> None:
        """Give up: an unfinished file is removed (one written in place stays, as far as it got)."""
        if self._closed:
            return
        self._closed = True
        try:
            if hasattr(self, "container"):
                self.container.close()
        except (av.error.FFmpegError, OSError):
            pass  # the disk may be full, which is why we are here
        if self._part != self.path:
            try:
                self._part.unlink(missing_ok=True)
            except OSError:
                pass  # its folder is gone, or is not a folder
