"""Captions of a recording: a WebVTT file beside each part, with times relative to the part's first frame."""

from collections import deque
from pathlib import Path

from services.gateway.channel.captions import Caption
from services.gateway.channel.event_log import EventLog
from shared.runtime.private_files import share
from shared.voices.webvtt import WEBVTT_SUFFIX, CaptionFile, Cue

WAITING = 1000  # captions that may arrive between two calls of `advance`


class PartCaptions:
    """The captions file of one part.

    first: pts of the part's first frame, microseconds. private: whether only the file's owner may read it.
    """

    def __init__(self, recording: Path, first: int, event_log: EventLog, *, private: bool) -> None:
        self._file = CaptionFile(recording.with_suffix(WEBVTT_SUFFIX))
        self._first, self._private, self._event_log = first, private, event_log
        self._failed = False

    def write(self, caption: Caption, until: int) -> None:
        """Write the portion of a caption that is inside the part and before `until` (pts, microseconds).

        If the file cannot be written, only the captions are lost, and the event log says so.
        """
        end = until if caption.end is None else min(caption.end, until)
        start = max(caption.start, self._first)
        if self._failed or end <= start:
            return
        begun = self._file.begun
        try:
            self._file.append(Cue(start - self._first, end - self._first, caption.text))
        except OSError as error:
            self._failed = True
            name = self._file.path.name
            self._event_log.add(f"{name} cannot be written ({error.strerror}); the recording has no captions.", "error")
            return
        if not begun and not self._private:
            share(self._file.path)


class RecordingCaptions:
    """The captions that are waiting until the recorder has written their frames.

    `hear` may be called from any thread, all other methods from the recorder's thread only.
    """

    def __init__(self) -> None:
        self._come: deque[Caption] = deque(maxlen=WAITING)
        self._waiting: dict[str, Caption] = {}

    def hear(self, caption: Caption) -> None:
        """Add a new or changed caption."""
        self._come.append(caption)

    def advance(self, part: PartCaptions | None, until: int) -> None:
        """Write the captions that end by `until` (pts), the time up to which frames are written.

        part: None if nothing is being recorded; captions that are over are then dropped.
        """
        while self._come:
            caption = self._come.popleft()
            self._waiting[caption.id] = caption
        for caption in list(self._waiting.values()):
            if caption.is_over and caption.end is not None and (part is None or caption.end <= until):
                del self._waiting[caption.id]
                if part:
                    part.write(caption, until)

    def end(self, part: PartCaptions, until: int) -> None:
        """End the part's captions at `until` (pts).

        A caption that is still heard then is split: this part has it up to `until`, the next part from there on.
        """
        self.advance(part, until)
        for caption in self._waiting.values():
            part.write(caption, until)
