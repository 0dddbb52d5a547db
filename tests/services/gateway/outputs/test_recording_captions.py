"""Captions of a recording are timed from the beginning of its parts.

A caption is complete where it was heard to its end, and cut where a part or the speech ended.
"""

from pathlib import Path

import pytest

from services.gateway.channel.captions import Caption, CaptionPhase
from services.gateway.channel.event_log import EventLog
from services.gateway.outputs.recorder import claim_file_name
from services.gateway.outputs.recording_captions import PartCaptions, RecordingCaptions
from shared.voices.webvtt import Cue, webvtt

S = 1_000_000
FIRST = 500 * S


def part(path: Path, first: int = FIRST, log: EventLog | None = None) -> PartCaptions:
    return PartCaptions(path, first, log or EventLog(), private=True)


def caption(name: str, start: float, end: float | None, state: CaptionPhase = "ended") -> Caption:
    """Return a caption; times in seconds from the beginning of the first part."""
    return Caption(name, name, FIRST + round(start * S), None if end is None else FIRST + round(end * S), state)


def cues(path: Path) -> str:
    return path.with_suffix(".vtt").read_text(encoding="utf-8")


@pytest.mark.unit
def test_a_caption_is_written_once_its_frames_are(tmp_path: Path) -> None:
    path, captions = tmp_path / "a.mp4", RecordingCaptions()
    here = part(path)
    captions.hear(caption("a", 1, None, "started"))
    captions.hear(caption("a", 1, 2, "started"))
    captions.advance(here, FIRST + 3 * S)
    assert not path.with_suffix(".vtt").exists()  # it may still be interrupted
    captions.hear(caption("a", 1, 1.5, "interrupted"))
    captions.hear(caption("b", 4, 5))
    captions.advance(here, FIRST + 3 * S)
    assert cues(path) == webvtt([Cue(S, 3 * S // 2, "a")])  # the recorder is behind: b may be in the next part
    captions.advance(here, FIRST + 5 * S)
    assert cues(path) == webvtt([Cue(S, 3 * S // 2, "a"), Cue(4 * S, 5 * S, "b")])


@pytest.mark.unit
def test_a_caption_over_two_parts_is_in_both(tmp_path: Path) -> None:
    captions, first, second = RecordingCaptions(), tmp_path / "a.mp4", tmp_path / "a-2.mp4"
    for each in (caption("a", 1, 2), caption("b", 3, 7), caption("c", 8, None, "started")):
        captions.hear(each)
    captions.end(part(first), FIRST + 5 * S)
    following = part(second, FIRST + 5 * S)
    captions.advance(following, FIRST + 7 * S)
    captions.end(following, FIRST + 9 * S)  # the recording is stopped in the middle of c
    assert cues(first) == webvtt([Cue(S, 2 * S, "a"), Cue(3 * S, 5 * S, "b")])
    assert cues(second) == webvtt([Cue(0, 2 * S, "b"), Cue(3 * S, 4 * S, "c")])


@pytest.mark.unit
def test_a_caption_whose_end_comes_after_that_of_its_part_is_in_no_other(tmp_path: Path) -> None:
    captions, first, second = RecordingCaptions(), tmp_path / "a.mp4", tmp_path / "a-2.mp4"
    captions.hear(caption("a", 3, 5, "started"))
    captions.end(part(first), FIRST + 5 * S)
    captions.hear(caption("a", 3, 5))
    captions.advance(part(second, FIRST + 5 * S), FIRST + 7 * S)
    assert cues(first) == webvtt([Cue(3 * S, 5 * S, "a")]) and not second.with_suffix(".vtt").exists()


@pytest.mark.unit
def test_what_was_heard_before_a_recording_is_not_in_it_but_what_goes_on_is(tmp_path: Path) -> None:
    captions, path = RecordingCaptions(), tmp_path / "a.mp4"
    captions.hear(caption("old", -3, -2))
    captions.hear(caption("goes on", -1, None, "started"))
    captions.advance(None, 0)
    captions.hear(caption("goes on", -1, 1))
    captions.advance(part(path), FIRST + 2 * S)
    assert cues(path) == webvtt([Cue(0, S, "goes on")])


@pytest.mark.unit
def test_captions_that_cannot_be_written_are_told_of_once(tmp_path: Path) -> None:
    log, captions = EventLog(), RecordingCaptions()
    here = part(tmp_path / "gone" / "a.mp4", log=log)
    for name in "ab":
        captions.hear(caption(name, 1, 2))
        captions.advance(here, FIRST + 2 * S)
    assert [event.kind for event in log.events()] == ["error"] and "a.vtt" in log.events()[0].text


@pytest.mark.unit
def test_a_recording_does_not_take_the_captions_of_another(tmp_path: Path) -> None:
    (tmp_path / "out.vtt").write_text("WEBVTT\n", encoding="utf-8")
    assert claim_file_name(tmp_path / "out.mp4").name == "out-2.mp4"
