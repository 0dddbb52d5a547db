"""Stand-in for the studio in a page's conversation: sends what a test wants, and keeps what the page sent."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from harness.channel import PATIENCE_S
from tests.support.browser.chromium import LOOK_S

if TYPE_CHECKING:
    from playwright.sync_api import Page, WebSocketRoute

AVAILABLE = {"available": True, "why": "", "viewers_may_talk": True}


@dataclass
class TalkStandIn:
    """Answers the requests of one page to the conversation's route and socket.

    facts: answer of the route. greets: whether a new socket immediately gets the state of a host that listens.
    tokens: token of each socket, from its first message. words, sound: later messages of the page, JSON and sound.
    """

    page: "Page"
    facts: dict[str, Any] = field(default_factory=lambda: dict(AVAILABLE))
    greets: bool = True
    tokens: list[str] = field(default_factory=list)
    words: list[dict[str, Any]] = field(default_factory=list)
    sound: list[bytes] = field(default_factory=list)
    sockets: list["WebSocketRoute"] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.route("**/conversation", lambda route: route.fulfill(json=self.facts))
        self.page.route_web_socket("**/conversation", self._open)

    def wait(self, condition: Callable[[], bool]) -> None:
        """Wait until a condition is true; the page's messages arrive while Playwright waits."""
        for _ in range(round(PATIENCE_S / LOOK_S)):
            if condition():
                return
            self.page.wait_for_timeout(1000 * LOOK_S)
        raise AssertionError(f"never; the page sent {self.words} and {len(self.sound)} blocks")

    def say(self, kind: str, **facts: Any) -> None:
        """Send the page a message."""
        self.sockets[-1].send(json.dumps({"type": kind, **facts}))

    def _open(self, socket: "WebSocketRoute") -> None:
        self.sockets.append(socket)
        socket.on_message(self._take)

    def _take(self, message: str | bytes) -> None:
        if isinstance(message, bytes):
            self.sound.append(message)
        elif "token" in (words := json.loads(message)):
            self.tokens.append(words["token"])
            if self.greets:
                self.say("state", state="listening")
        else:
            self.words.append(words)
