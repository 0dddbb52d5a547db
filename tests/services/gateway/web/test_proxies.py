"""The studio behind nginx, Caddy and HAProxy, with the configuration files of `deploy/`.

TLS, a path prefix, WebSockets and a real browser.
"""

import json
import ssl
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from websockets.sync.client import connect
from websockets.typing import Origin

from harness.channel import PATIENCE_S
from tests.support.browser.chromium import needs_chromium, until
from tests.support.running.gateway import GatewayStudio, studio
from tests.support.running.proxies import program, proxy

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [
    pytest.mark.apart,
    pytest.mark.skipif(program("openssl") is None, reason="no openssl on this machine"),
]
KEYS: dict[str, Any] = {
    "livekit_url": "wss://livekit.example.com",
    "livekit_api_key": "key",
    "livekit_api_secret": "secret" * 6,
}
SCENE = "/studio/api/v1/channels/main/scene"


@pytest.fixture(scope="module")
def running() -> Iterator[GatewayStudio]:
    """A gateway that trusts proxies on this machine."""
    with (
        tempfile.TemporaryDirectory() as folder,
        studio(Path(folder), trusted_proxies=["127.0.0.1"], allowed_hosts=["studios.example.com"], **KEYS) as made,
    ):
        yield made


@pytest.fixture(scope="module", params=["nginx", "caddy"])
def front(request: pytest.FixtureRequest, running: GatewayStudio) -> Iterator[str]:
    """Address of a proxy that serves the studio below /studio/."""
    if program(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    with (
        tempfile.TemporaryDirectory() as folder,
        proxy(request.param, Path(folder), running.address, running.token) as at,
    ):
        yield at


@pytest.fixture
def http(front: str, running: GatewayStudio) -> Iterator[httpx.Client]:
    """An HTTP client of the proxy that sends what a page of the studio sends."""
    headers = running.headers | {"Origin": front}
    with httpx.Client(base_url=front, headers=headers, verify=False, trust_env=False, timeout=PATIENCE_S) as made:
        yield made


def test_pages_and_changes_pass_and_foreign_ones_do_not(http: httpx.Client, front: str) -> None:
    there = http.get("/studio")
    assert there.status_code == 308 and there.headers["location"] in ("/studio/", f"{front}/studio/")
    assert "Persona Studio" in http.get("/studio/").text
    assert http.patch(SCENE, json={}).status_code == 200
    for origin in ("https://evil.example", front.replace("https", "http"), "null"):
        assert http.patch(SCENE, json={}, headers={"Origin": origin}).status_code == 403
    assert http.get("/studio/", headers={"Host": "evil.example"}).text.find("Persona Studio") < 0
    assert http.get("/studio/metrics").status_code == http.get("/studio/%6detrics").status_code == 404
    assert http.get("/studio/api/v1/openapi.json").json()["servers"] == [{"url": "/studio"}]


def test_what_a_client_says_of_proxies_does_not_come_through(http: httpx.Client, front: str) -> None:
    evil = {"X-Forwarded-Prefix": "//evil.example", "X-Forwarded-Proto": "http", "X-Forwarded-Port": "1"}
    for host in ("evil.example", "127.0.0.1"):
        answer = http.post("/studio/api/v1/channels/main/viewers", headers=evil | {"X-Forwarded-Host": host})
        assert answer.status_code == 201, answer.text
        assert answer.json()["watch"].startswith("/studio/watch/main#token=")
        spoofed = evil | {"X-Forwarded-Host": host, "Origin": f"http://{host}"}
        assert http.patch(SCENE, json={}, headers=spoofed).status_code == 403
    assert "livekit-url" in http.get("/studio/watch/main").text


def test_an_upload_is_as_large_as_the_studio_allows(http: httpx.Client) -> None:
    answer = http.post("/studio/api/v1/drivers", files={"video": ("film.mp4", bytes(3 << 20))})
    assert answer.status_code == 422 and "film.mp4" in answer.json()["detail"], answer.text


def test_websockets_pass(front: str, running: GatewayStudio) -> None:
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    address = f"wss{front[5:]}/studio/api/v1/channels/main/state"
    with connect(
        address, ssl=trusting, proxy=None, origin=Origin(front), compression=None, open_timeout=PATIENCE_S
    ) as socket:
        socket.send(json.dumps({"token": running.token}))
        assert json.loads(socket.recv(PATIENCE_S))["channel"] == "main"


@needs_chromium
def test_the_console_works_in_a_browser(browser: "Browser", front: str, running: GatewayStudio) -> None:
    context = browser.new_context(ignore_https_errors=True)
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("websocket", lambda socket: asked.append(socket.url))
    page.goto(f"{front}/studio/#token={running.token}")
    page.get_by_label("State", exact=True).get_by_text("ON AIR").wait_for()
    until(page, "studio.frames() > 5")
    page.get_by_role("button", name="This browser's camera").click()
    page.get_by_text("This page is the driver").wait_for()
    page.get_by_role("button", name="Sample clip").click()
    page.get_by_role("button", name="Create watch link").click()
    until(
        page,
        f"document.querySelector('[aria-label=\"Watch link\"]').value.startsWith('{front}/studio/watch/main#token=')",
    )
    context.close()
    below = tuple(f"{scheme}{front[5:]}/studio/" for scheme in ("https", "wss", "blob:https"))
    assert [url for url in asked if not url.startswith(below) and not url.startswith(f"blob:{front}/")] == []


@pytest.mark.skipif(program("haproxy") is None, reason="haproxy is not installed")
def test_haproxy_lets_sessions_through_and_nothing_else(running: GatewayStudio) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        proxy("haproxy", Path(folder), running.address, running.token) as front,
        httpx.Client(
            base_url=front, headers=running.headers, verify=False, trust_env=False, timeout=PATIENCE_S
        ) as client,
    ):
        assert client.get("/api/v1/capacity").json()["sessions"] == 0
        assert client.get("/").status_code == client.get("/api/v1/channels/main").status_code == 403
