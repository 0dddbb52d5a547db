"""Forwarded headers count only from a trusted proxy, and never relax a check."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from fastapi import FastAPI, Request, WebSocket
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from services.gateway.api.security import Guard
from shared.config.settings import Settings

pytestmark = pytest.mark.unit

TOKEN = "secret"
NAME = "studio.example.com"
PAGE = {"Host": NAME, "Origin": f"https://{NAME}", "Authorization": f"Bearer {TOKEN}"}


def client(peer: str = "10.0.0.5", **settings: Any) -> TestClient:
    """Return a client of a guarded application that answers with the request as it sees it."""
    app = FastAPI(openapi_url=None)
    app.state.token = TOKEN
    app.add_middleware(Guard, settings=Settings(allowed_hosts=[NAME], **settings))

    @app.api_route("/{path:path}", methods=["GET", "POST"])
    async def seen(request: Request, path: str) -> dict[str, str]:
        return {"path": path, "prefix": request.scope["root_path"], "url": str(request.url)}

    @app.websocket("/socket")
    async def socket(opened: WebSocket) -> None:
        await opened.accept()
        await opened.send_text(opened.scope["root_path"])

    return TestClient(app, base_url="http://127.0.0.1", client=(peer, 5), follow_redirects=False)


def refused(asked: TestClient, headers: Mapping[str, str], status: int, method: str = "POST") -> str:
    answer = asked.request(method, "/api/v1/x", headers=headers)
    assert answer.status_code == status, answer.text
    assert list(answer.json()) == ["detail"] and answer.headers["x-content-type-options"] == "nosniff"
    detail = str(answer.json()["detail"])
    assert detail.endswith(".") and "\n" not in detail
    return detail


@pytest.mark.parametrize(
    "forwarded",
    [
        {"X-Forwarded-Host": NAME}, {"X-Forwarded-Host": f"evil.example, {NAME}"}, {"X-Forwarded-Host": f"{NAME}:443"},
        {"X-Forwarded-Host": NAME, "X-Forwarded-Proto": "https"}, {"X-Forwarded-Host": NAME, "X-Forwarded-Port": "443"},
        {"X-Forwarded-Host": NAME.upper(), "X-Forwarded-Proto": "HTTPS"},
    ],
)  # fmt: skip
@pytest.mark.parametrize("trusted", ["10.0.0.5", "10.0.0.0/8"])
def test_a_trusted_proxy_says_what_the_browser_asked_for(forwarded: dict[str, str], trusted: str) -> None:
    asked = client(trusted_proxies=[trusted])
    answer = asked.post("/api/v1/x", headers=PAGE | {"Host": "127.0.0.1:8750"} | forwarded)
    assert answer.status_code == 200, answer.text
    if "X-Forwarded-Proto" in forwarded:
        assert answer.json()["url"].startswith("https://")


@pytest.mark.parametrize("peer", ["10.0.0.5", "::ffff:10.0.0.5"])
def test_an_address_is_the_same_in_both_families(peer: str) -> None:
    headers = PAGE | {"Host": "127.0.0.1:8750", "X-Forwarded-Host": NAME}
    assert client(peer, trusted_proxies=["10.0.0.5"]).post("/api/v1/x", headers=headers).status_code == 200


@pytest.mark.parametrize("peer", ["10.0.0.6", "192.168.0.1", "::1", "", "nonsense", "127.0.0.1"])
@pytest.mark.parametrize("trusted", [[], ["10.0.0.5"]])
def test_of_others_the_headers_count_for_nothing_and_the_refusal_says_so(peer: str, trusted: list[str]) -> None:
    asked = client(peer, trusted_proxies=trusted)
    said = refused(asked, PAGE | {"Host": "127.0.0.1:8750", "X-Forwarded-Host": NAME}, 403)
    assert "trusted_proxies" in said and "X-Forwarded-Host" in said and NAME in said
    headers = {"X-Forwarded-Prefix": "/evil", "X-Forwarded-Proto": "gopher", "X-Forwarded-Host": "evil.example"}
    answer = asked.get("/a", headers=headers)
    assert answer.json() == {"path": "a", "prefix": "", "url": "http://127.0.0.1/a"}
    refused(asked, headers | {"Host": "evil.example"}, 421, "GET")


def test_a_changed_host_says_which_header_the_proxy_has_to_pass_on() -> None:
    said = refused(client(), PAGE | {"Host": "127.0.0.1", "Origin": "https://127.0.0.1:8443"}, 403)
    assert "Host is '127.0.0.1'" in said and "https://127.0.0.1:8443" in said and "port included" in said
    said = refused(client(trusted_proxies=["10.0.0.5"]), PAGE | {"X-Forwarded-Host": "127.0.0.1"}, 403)
    assert "have it pass on the browser's X-Forwarded-Host" in said


@pytest.mark.parametrize("origin", ["null", "https://evil.example", "http://[bad", "ftp://studio.example.com",
    f"https://{NAME}:8443",
                                    f"https://{NAME}.evil.example", f"https://a@{NAME}", "https://", ""])  # fmt: skip
@pytest.mark.parametrize("trusted", [[], ["10.0.0.5"]])
def test_a_foreign_origin_stays_refused(origin: str, trusted: list[str]) -> None:
    asked = client(trusted_proxies=trusted)
    refused(asked, PAGE | {"Origin": origin}, 403)
    refused(asked, PAGE | {"Origin": origin, "X-Forwarded-Host": NAME, "X-Forwarded-Proto": "https"}, 403)
    with (
        pytest.raises(WebSocketDisconnect),
        asked.websocket_connect("/socket", headers={"Host": NAME, "Origin": origin}),
    ):
        pass


def test_a_page_over_http_is_not_that_of_a_proxy_with_tls() -> None:
    asked = client(trusted_proxies=["10.0.0.5"])
    said = refused(asked, PAGE | {"Origin": f"http://{NAME}", "X-Forwarded-Proto": "https"}, 403)
    assert "X-Forwarded-Proto" in said


def test_the_default_port_may_be_written_or_not() -> None:
    assert client().post("/api/v1/x", headers=PAGE | {"Host": f"{NAME}:443"}).status_code == 200
    refused(client(), PAGE | {"Host": f"{NAME}:80"}, 403)


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "",
        f"{NAME}.evil.example",
        "[",
        f"evil.example#{NAME}",
        f"{NAME}/evil",
        f"{NAME}?a",
        f"{NAME}\\evil",
        f"{NAME}@evil.example",
    ],
)
def test_a_forwarded_host_must_be_one_of_ours_and_so_must_the_direct_one(host: str) -> None:
    asked = client(trusted_proxies=["10.0.0.5"])
    if host:
        said = refused(asked, PAGE | {"Origin": f"https://{host}", "X-Forwarded-Host": host}, 421)
        assert "X-Forwarded-Host" in said and "allowed_hosts" in said
    # DNS rebinding: a page whose host name resolves to this machine's address can send any header.
    refused(asked, PAGE | {"Host": host, "X-Forwarded-Host": NAME}, 421)


@pytest.mark.parametrize("path", ["/studio/api/v1/x", "/api/v1/x"])
@pytest.mark.parametrize(
    ("settings", "headers"),
    [
        ({"path_prefix": "/studio/"}, {}), ({"trusted_proxies": ["10.0.0.5"]}, {"X-Forwarded-Prefix": "/studio"}),
        ({"path_prefix": "/other", "trusted_proxies": ["10.0.0.5"]}, {"X-Forwarded-Prefix": "/studio/"}),
    ],
)  # fmt: skip
def test_a_prefix_is_taken_off_where_the_proxy_left_it(
    path: str, settings: dict[str, Any], headers: dict[str, str]
) -> None:
    answer = client(**settings).post(path, headers=PAGE | headers)
    assert answer.json() == {"path": "api/v1/x", "prefix": "/studio", "url": f"http://{NAME}/studio/api/v1/x"}
    assert client(**settings).post(path, headers={"Host": NAME} | headers).status_code == 401
    with client(**settings).websocket_connect("/studio/socket", headers={"Host": NAME} | headers) as socket:
        assert socket.receive_text() == "/studio"


def test_the_prefix_alone_leads_to_the_page() -> None:
    answer = client(path_prefix="/a/b").get("/a/b")
    assert (answer.status_code, answer.headers["location"]) == (308, "/a/b/")
    assert client(path_prefix="/a/b").get("/a/b/").json()["path"] == ""
    assert client(path_prefix="/a/b").get("/a/bc").json()["path"] == "a/bc"


@pytest.mark.parametrize(
    "prefix", ["//evil.example", "/\\evil", "studio", "/a//b", "/a/../b", "/.", "/a?b", "/a#b", "/a%2fb",
        "https://evil.example",
               "/a b", "/<script>", "/api", "/v1/x", "/web", "/a;b", "/" + 300 * "a", "/a\tb", "/\u00e9"],
)  # fmt: skip
def test_a_prefix_that_is_no_path_is_refused(prefix: str) -> None:
    asked = client(trusted_proxies=["10.0.0.5"])
    for path in ("/", "/api/v1/x"):
        answer = asked.get(path, headers={b"X-Forwarded-Prefix": prefix.encode("latin-1")})
        assert answer.status_code == 400 and "X-Forwarded-Prefix" in answer.json()["detail"], answer.text
        assert "location" not in answer.headers
    assert asked.get("/", headers={"X-Forwarded-Prefix": "/"}).json()["prefix"] == ""


def test_a_proto_that_is_none_is_refused() -> None:
    said = refused(client(trusted_proxies=["10.0.0.5"]), PAGE | {"X-Forwarded-Proto": "gopher"}, 400)
    assert "X-Forwarded-Proto is 'gopher'" in said


def test_what_a_refusal_shows_is_on_one_line_and_short() -> None:
    said = refused(client(), PAGE | {"Host": "a" * 5000}, 421)
    assert len(said) < 300
    assert json.dumps(said).isascii()
