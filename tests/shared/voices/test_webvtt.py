"""WebVTT: a player shows exactly what was written, and the file is valid after every cue."""

import os
from pathlib import Path

import pytest

from shared.voices.webvtt import CaptionFile, Cue, cue_block, read_cues, remove_captions, webvtt


@pytest.mark.unit
@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("Fish & chips", "Fish &amp; chips"),
        ("a <b> c", "a &lt;b&gt; c"),
        ("00:00 --> 00:01", "00:00 --&gt; 00:01"),
        ("one\n\ntwo\r\nthree\u2028four", "one two three four"),
        ("NOTE\nthis", "NOTE this"),
        ("Füße 你好", "Füße 你好"),
        ("a\0b", "a\ufffdb"),
    ],
)
def test_a_text_cannot_be_taken_for_more_than_text(text: str, written: str) -> None:
    assert cue_block(Cue(0, 1_000_000, text)) == f"\n00:00:00.000 --> 00:00:01.000\n{written}\n"


@pytest.mark.unit
def test_times_have_hours_and_a_cue_ends_after_it_begins() -> None:
    assert "01:01:01.001 --> 27:46:40.000" in cue_block(Cue(3_661_000_900, 100_000_000_000, "a"))
    assert "00:00:02.000 --> 00:00:02.001" in cue_block(Cue(2_000_000, 2_000_000, "a"))
    assert "00:00:00.000 --> 00:00:01.000" in cue_block(Cue(-5, 999_999, "a"))


@pytest.mark.unit
def test_cues_that_overlap_stay_whole_in_the_order_of_their_beginnings() -> None:
    written = webvtt([Cue(2_000_000, 3_000_000, "b"), Cue(1_000_000, 5_000_000, "a")])
    assert written == ("WEBVTT\n\n00:00:01.000 --> 00:00:05.000\na\n\n00:00:02.000 --> 00:00:03.000\nb\n")
    assert webvtt([]) == "WEBVTT\n"


@pytest.mark.unit
def test_a_file_grows_by_whole_cues_and_is_never_over_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    path = tmp_path / "a.vtt"
    file, cues = CaptionFile(path), [Cue(0, 1_000_000, "a"), Cue(1_000_000, 2_000_000, "b")]
    assert not path.exists()
    for count, cue in enumerate(cues, 1):
        file.append(cue)
        assert path.read_text(encoding="utf-8") == webvtt(cues[:count])
    assert path.stat().st_mode & 0o777 == 0o600
    with monkeypatch.context() as full:
        full.setattr(os, "write", lambda descriptor, content: write(descriptor, content[:9]))
        with pytest.raises(OSError, match="No space"):
            file.append(cues[1])
    assert path.read_text(encoding="utf-8") == webvtt(cues)
    with pytest.raises(FileExistsError):
        CaptionFile(path).append(cues[0])
    assert path.read_text(encoding="utf-8") == webvtt(cues)


def test_what_was_written_is_read() -> None:
    cues = [Cue(0, 1_500_000, "Is 1 < 2 & 3 > 2?"), Cue(3_725_125_000, 3_725_626_000, "--> &lt; “é” 你好")]
    assert read_cues(webvtt(cues)) == cues and read_cues(webvtt([])) == []
    with pytest.raises(ValueError, match="no WebVTT"):
        read_cues("1\n00:00 --> 00:01\na\n")


def test_only_captions_are_removed_with_the_film_that_they_belong_to(tmp_path: Path) -> None:
    for name, content, left in (("a", b"WEBVTT\n\n", False), ("b", b"NOTES", True), ("c", b"\xff\xfe", True)):
        path = tmp_path / f"{name}.vtt"
        path.write_bytes(content)
        remove_captions(path)
        assert path.exists() is left
    remove_captions(tmp_path / "none.vtt")
