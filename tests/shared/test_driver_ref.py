"""References to drivers, parsed from the words that name them."""

from pathlib import Path

import pytest

from shared.driver_ref import DriverKind, DriverRef, DriverWordError
from shared.scene import Scene


@pytest.mark.parametrize(
    ("word", "kind", "voice", "remote", "live"),
    [
        ("sample", DriverKind.SAMPLE, False, False, False),
        ("browser", DriverKind.BROWSER, False, True, True),
        ("microphone", DriverKind.MICROPHONE, True, True, True),
        ("speech", DriverKind.SPEECH, True, True, True),
        ("camera:2", DriverKind.CAMERA, False, False, True),
        ("file:/a/b.mp4", DriverKind.FILE, False, False, False),
        ("motion:/a/b.walk", DriverKind.FILE, False, False, False),
        ("rtsp://user:key@host/live", DriverKind.ADDRESS, False, False, True),
        ("https://host/a.mp4", DriverKind.ADDRESS, False, False, True),
    ],
)
def test_every_form_is_understood_and_keeps_its_word(
    word: str, kind: DriverKind, voice: bool, remote: bool, live: bool
) -> None:
    ref = DriverRef.parse(word)
    assert (ref.kind, ref.is_voice, ref.is_remote, ref.is_live, str(ref)) == (kind, voice, remote, live, word)
    assert Scene(driver=word).driver_ref == ref


@pytest.mark.parametrize(
    "word",
    ["", "samples", "camera:", "camera:x", "camera:1234", "camera:-1", "camera:٣", "file:", "motion:", "ftp://host/x",
        "http://",
     "http://[", "rtsp://ho\nst/x", "/a/b.mp4", "http://host:99999/x", "rtsp://host:port/x"],
)  # fmt: skip
def test_a_word_that_names_none_is_refused_and_unknown_in_a_scene(word: str) -> None:
    with pytest.raises(DriverWordError):
        DriverRef.parse(word)
    ref = DriverRef.of_scene(word)
    assert ref.kind is DriverKind.UNKNOWN and not ref.is_remote and ref.template is None


def test_a_camera_has_one_word() -> None:
    assert DriverRef.parse("camera:007") == DriverRef.parse("camera:7") and DriverRef.parse("camera:7").camera == 7


@pytest.mark.parametrize(
    ("word", "template"),
    [("motion:/a/w.pkl", True), ("motion:/a/w", True), ("file:/a/w.npz", True), ("file:/a/w.NPZ", True),
     ("file:/a/w.pkl", False), ("file:/a/w.mp4", False)],
)  # fmt: skip
def test_recorded_motion_is_named_so_or_has_the_studios_suffix(word: str, template: bool) -> None:
    ref = DriverRef.parse(word)
    assert ref.path == Path(word.partition(":")[2]) and ref.template == (ref.path if template else None)
    assert DriverRef.of_file(ref.path, recorded=word.startswith("motion:")) == ref == DriverRef.of_setting(word)


def test_a_setting_may_leave_out_the_scheme_of_a_path() -> None:
    assert DriverRef.of_setting("/a/b.mp4") == DriverRef.of_file(Path("/a/b.mp4"))
    for word in ("sample", "camera:1", "file:/a/b.mp4", "rtsp://host/x"):
        assert DriverRef.of_setting(word) == DriverRef.parse(word)
