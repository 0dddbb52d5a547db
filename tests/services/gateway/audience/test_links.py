"""Links for the audience: who may watch with one, until when, and what the studio stores of it."""

import base64
import json
import os
from collections.abc import Callable
from pathlib import Path

import jwt
import pytest

from services.gateway.audience.links import MOST_LINKS, WatchLinks, WatchRefusal, WatchRefusedError
from services.gateway.channel.event_log import EventLog
from shared.config.settings import Settings
from shared.errors import StudioError

pytestmark = pytest.mark.unit
SECRET = "s" * 43
DAY_S = 24 * 3600


class SetClock:
    """Wall clock that shows the time set by the test."""

    def __init__(self) -> None:
        self.at = 1_800_000_000.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def opened(tmp_path: Path, clock: SetClock) -> Callable[..., WatchLinks]:
    def open_links(secret: str = SECRET, channel: str = "main") -> WatchLinks:
        return WatchLinks(Settings(home=tmp_path, channel=channel), EventLog(), secret, clock)

    return open_links


def refusal(links: WatchLinks, token: str) -> WatchRefusal:
    with pytest.raises(WatchRefusedError) as raised:
        links.admit(token)
    assert str(raised.value) == raised.value.refusal.sentence
    return raised.value.refusal


def test_a_link_is_good_until_it_expires(opened: Callable[..., WatchLinks], clock: SetClock) -> None:
    links = opened()
    link = links.make("the sofa", 3600, 5)
    assert links.admit(links.token(link)) == link and links.standing(link.id) is None
    clock.at += 3599
    assert links.admit(links.token(link)) == link
    clock.at += 1
    assert refusal(links, links.token(link)) is WatchRefusal.EXPIRED
    assert links.standing(link.id) is WatchRefusal.EXPIRED and links.links() == []
    assert not links.remove(link.id), "what has expired cannot be revoked"


def test_a_revoked_link_stays_revoked(opened: Callable[..., WatchLinks]) -> None:
    links = opened()
    kept, gone = links.make("", DAY_S, 1), links.make("", DAY_S, 1)
    assert links.remove(gone.id) and not links.remove(gone.id)
    for each in (links, opened()):
        assert refusal(each, links.token(gone)) is WatchRefusal.REVOKED
        assert each.admit(links.token(kept)) == kept, "another one is not touched by it"


def test_nothing_but_what_this_channel_signed_opens_it(opened: Callable[..., WatchLinks], clock: SetClock) -> None:
    links = opened()
    link = links.make("", DAY_S, 1)
    token = links.token(link)
    head, claims, signature = token.split(".")
    later = base64.urlsafe_b64encode(json.dumps({"aud": "watch main", "sub": link.id, "exp": 1 << 40}).encode())
    unsigned = {"aud": "watch main", "sub": link.id, "exp": link.expires}
    forged = [
        "", ".", "..", token[:-2], f"{head}.{later.decode().rstrip('=')}.{signature}", f"{head}.{claims}.",
        token + "A" * 1000,
        jwt.encode(unsigned, "", algorithm="none"), jwt.encode(unsigned, SECRET, algorithm="HS256"), "\ud800",
        "[" * 900, SECRET,
    ]  # fmt: skip
    for each in forged:
        assert refusal(links, each) is WatchRefusal.BAD, each
    for other in (opened(secret="t" * 43), opened(channel="second")):
        assert refusal(other, token) is WatchRefusal.BAD


def test_links_outlive_the_gateway_and_only_their_owner_reads_them(
    opened: Callable[..., WatchLinks], tmp_path: Path
) -> None:
    previous = os.umask(0)
    try:
        link = opened().make("for the press", DAY_S, 3, talk=True)
    finally:
        os.umask(previous)
    path = tmp_path / "watch-links-main.json"
    assert path.stat().st_mode & 0o777 == 0o600
    again = opened()
    assert again.links() == [link] and again.admit(again.token(link)) == link and link.talk
    assert again.token(link) not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("content", [b"", b"{}", b'[{"id": "x"}]', b"\xff", b"[" * 5000])
def test_a_damaged_list_is_a_warning_and_no_links(tmp_path: Path, clock: SetClock, content: bytes) -> None:
    (tmp_path / "watch-links-main.json").write_bytes(content)
    event_log = EventLog()
    links = WatchLinks(Settings(home=tmp_path), event_log, SECRET, clock)
    assert links.links() == []
    assert [event.kind for event in event_log.events()] == ["warning"]
    assert links.links() == [] and links.make("", DAY_S, 1) in links.links()


def test_there_are_not_ever_more_links(opened: Callable[..., WatchLinks], clock: SetClock) -> None:
    links = opened()
    for _ in range(MOST_LINKS):
        links.make("", 3600, 1)
    with pytest.raises(StudioError, match="revoke one first"):
        links.make("", 3600, 1)
    clock.at += 3600
    links.make("", 3600, 1)
    assert len(opened().links()) == 1, "those that have expired make room"


def test_a_link_that_cannot_be_kept_is_not_given(
    opened: Callable[..., WatchLinks], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    links = opened()
    kept = links.make("", DAY_S, 1)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("services.gateway.audience.links.write_atomically", full)
    for change in (lambda: links.make("", DAY_S, 1), lambda: links.remove(kept.id)):
        with pytest.raises(StudioError, match="No space left"):
            change()
    assert links.links() == [kept]
