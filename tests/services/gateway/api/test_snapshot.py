"""Drivers and avatars as the API shows them: no password, and no failure for an invalid driver or a strange file."""

import pytest

from services.gateway.api.snapshot import driver_title
from tests.support.running.gateway import GatewayStudio


@pytest.mark.parametrize(
    ("word", "title"),
    [
        ("https://user:key@host:8443/a.mp4?key=1", "https://host:8443/a.mp4"),
        ("http://user:key@host:99999/x", "http://"),
        ("http://user:key@[", "http://"),
        ("camera:x", "camera:x"),
    ],
)
def test_a_drivers_title_has_no_password_and_fails_for_no_word(word: str, title: str) -> None:
    assert driver_title(word) == title


def test_strange_files_in_the_home_are_shown_or_left_out(own: GatewayStudio) -> None:
    home = own.settings.home
    drivers, avatars = home / "drivers", home / "avatars"
    drivers.mkdir(exist_ok=True)
    (drivers / "00000000000000aa.mp4").symlink_to("gone")
    (drivers / "00000000000000bb.mp4").symlink_to("00000000000000bb.mp4")
    (drivers / "00000000000000cc.mp4").mkdir()
    (drivers / "00000000000000dd.\udcff").write_bytes(b"x")
    (drivers / "00000000000000ee.mp4").write_bytes(b"x")
    (drivers / "00000000000000ee.txt").write_text("a title\nof two lines\x1b[2J", encoding="utf-8")
    contents = (b"[" * 200_000, b"", b"\xff", b'{"schema": 1, "name": "\\ud800"}', b"{" * 9, b" " * (5 << 20))
    for number, content in enumerate(contents):
        (avatars / f"odd-{number}").mkdir()
        (avatars / f"odd-{number}" / "avatar.json").write_bytes(content)
    (avatars / "odd-folder" / "avatar.json").mkdir(parents=True)
    (avatars / "odd-link").mkdir()
    (avatars / "odd-link" / "avatar.json").symlink_to("avatar.json")
    (avatars / "\udcff").mkdir()
    (avatars / "\udcff" / "avatar.json").write_bytes(b"{}")
    state = own.state()
    assert [row["title"] for row in state["drivers"] if row["word"].startswith("upload:")] == [
        "a title\\nof two lines\\x1b[2J"
    ]
    odd = {row["name"]: row["unavailable"] for row in state["avatars"] if row["name"].startswith("odd")}
    assert len(odd) >= len(contents) and all(odd.values())
    assert own.http.get("/drivers").status_code == 200 and own.http.get("/avatars").status_code == 200
