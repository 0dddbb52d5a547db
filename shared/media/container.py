"""Writes media files: complete or absent, marked as AI-generated, with failures as one sentence."""

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
    """Base of writers that finish their output at the end of a ``with`` block, or discard it if the block raises."""

    @abstractmethod
    def close(self) -> None:
        """Finish the output."""

    @abstractmethod
    def abort(self) -> None:
        """Discard the output."""

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
    """An FFmpeg container for output; every write to it belongs in a ``with file.writing():`` block.

    in_place=False: the file is written as `<name>.part` and renamed when closed, so that a file of this name is always
        complete; `abort` (or an exception inside ``with``) leaves no file.
    in_place=True: the file is written under its own name, for formats that are usable while unfinished.
    Raises StudioError if the file cannot be created or, later, written; NoSpaceError if the disk is full.
    """

    def __init__(self, path: Path, form: str, options: Mapping[str, str], *, in_place: bool = False) -> None:
        """form: FFmpeg's name of the format. options: options of FFmpeg's muxer for it."""
        self.path = Path(path)
        self._part = self.path if in_place else self.path.with_name(self.path.name + ".part")
        self._closed = False
        with self.writing():
            self._part.open("wb").close()  # FFmpeg itself would only fail at the first packet
            self.container = av.open(
                str(self._part.absolute()), "w", format=form, options={"flush_packets": "1", **options}
            )
        self.container.metadata["comment"] = COMMENT

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Turn a failed write in the block into StudioError with one sentence, and abort the file."""
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
        """Finish the file, after its encoders were flushed. A second call does nothing."""
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
        """Stop writing and remove the unfinished file; a file written in place is kept as far as it was written."""
        if self._closed:
            return
        self._closed = True
        try:
            if hasattr(self, "container"):
                self.container.close()
        except (av.error.FFmpegError, OSError):
            pass  # expected where a full disk is the reason for the abort
        if self._part != self.path:
            try:
                self._part.unlink(missing_ok=True)
            except OSError:
                pass  # the folder was deleted, or its path is not a folder
