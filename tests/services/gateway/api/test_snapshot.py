"""What the API shows of a driver: no password, and an answer for a word of a saved scene that names none."""

import pytest

from services.gateway.api.snapshot import driver_title


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
