"""Who may ask what: host, origin, token; and the headers every answer carries.

The console is on loopback, but every web page the operator visits can send requests there too. So: the Host must be one
of ours (against DNS rebinding), a foreign Origin may change nothing and open no socket, the token is needed for all
but the page itself, and there is no CORS header at all.
"""

import hmac
from urllib.parse import urlsplit

from fastapi import HTTPException, Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.config.settings import Settings

READING = ("GET", "HEAD", "OPTIONS")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; media-src 'self' blob:; "
    "connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(self), microphone=(self)",
    "cache-control": "no-cache",
}


class Guard:
    """ASGI middleware: refuses foreign hosts and origins, adds HEADERS."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._hosts = {"127.0.0.1", "localhost", "::1", settings.host, *settings.allowed_hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        reading = scope["type"] == "http" and scope["method"] in READING
        if _host(headers.get("host", "")) not in self._hosts:
            detail = "This name is not one the studio answers to; add it to allowed_hosts, or use 127.0.0.1."
            await _refuse(scope, receive, send, 421, detail)
        elif not reading and not _same_origin(headers):
            await _refuse(
                scope,
                receive,
                send,
                403,
                "Another site's page may not control the studio; open its own page.",
            )
        else:
            await self._app(scope, receive, _adding_headers(send))


def _host(value: str) -> str:
    try:
        return (urlsplit("//" + value).hostname or "").lower()
    except ValueError:
        return ""


def _same_origin(headers: Headers) -> bool:
    origin = headers.get("origin")
    if origin is None:
        return True  # not a browser, or a browser's own navigation; the token still decides
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and parts.netloc.lower() == headers.get("host", "").lower()


def _adding_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return sending


async def _refuse(scope: Scope, receive: Receive, send: Send, status: int, detail: str) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 4403, "reason": detail[:120]})
        return
    await JSONResponse({"detail": detail}, status, HEADERS)(scope, receive, send)


def same_token(given: str, token: str) -> bool:
    """Compared in constant time."""
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), token.encode())


def need_token(request: Request) -> None:
    """FastAPI dependency: 401 without the operator's token."""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not same_token(given.strip(), request.app.state.token):
        detail = "The operator's token is missing or wrong; it is in the file `token` in the studio's home."
        raise HTTPException(401, detail, {"www-authenticate": "Bearer"})
