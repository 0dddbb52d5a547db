"""Access checks on requests (host, origin, token) and the headers of every answer.

The console is on loopback, but every web page that the operator visits can send requests there too. So: the Host must
be one of the studio's names (against DNS rebinding), a foreign Origin may change nothing and open no socket, everything
but the page itself needs the token, and there are no CORS headers. All checks take place before a body is read. Only
upload forms, which are written to the disk, may be larger than MAX_BODY_BYTES. Forwarded headers count only from a
proxy in `trusted_proxies` (see `forwarded`), and none of these checks is relaxed by them.
"""

import hmac
import re

from fastapi import HTTPException, Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.gateway.api.forwarded import ForwardedError, Front, ProxiesInFront
from shared.config.proxy import canonical_host, host_of
from shared.config.settings import Settings

API = ("/api/v1/", "/v1/")  # the latter are paths of other applications' plugins
MAX_BODY_BYTES = 64 << 10  # largest body of a request that is not an upload
UPLOADS = re.compile(r"/api/v1/(avatars|drivers|jobs|sessions|channels/[^/]+/speech)")
TOO_LARGE = f"A request has at most {MAX_BODY_BYTES >> 10} KB here; send less."
NO_TOKEN = "The operator's token is missing or wrong; it is in the file `token` in the studio's home."
BEARER = {"www-authenticate": "Bearer"}
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
        self._hosts = {"127.0.0.1", "localhost", "::1", canonical_host(settings.host), *settings.allowed_hosts}
        self._proxies = ProxiesInFront(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        reading = scope["type"] == "http" and scope["method"] in READING
        try:
            front = self._proxies.front(scope, headers)
        except ForwardedError as error:
            await _refuse(scope, receive, send, 400, str(error))
            return
        if foreign := next((each for each in front.hosts if host_of(each[1]) not in self._hosts), None):
            await _refuse(scope, receive, send, 421, front.foreign_host(*foreign))
        elif not reading and not front.same_origin:
            await _refuse(scope, receive, send, 403, front.foreign_origin())
        elif not reading and scope["type"] == "http" and front.path.startswith(API) and not _has_token(scope, headers):
            await _refuse(scope, receive, send, 401, NO_TOKEN, BEARER)
        elif front.lacks_slash and reading:
            # The page's relative addresses resolve only if the path ends with a slash.
            await Response(status_code=308, headers=HEADERS | {"location": f"{front.prefix}/"})(scope, receive, send)
        elif scope["type"] == "http" and not _is_upload(scope, headers, front):
            if _declared(headers) > MAX_BODY_BYTES:
                await _refuse(scope, receive, send, 413, TOO_LARGE)
            else:
                await self._app(front.seen(scope), _bounded(receive), _adding_headers(send))
        else:
            await self._app(front.seen(scope), receive, _adding_headers(send))


def _has_token(scope: Scope, headers: Headers) -> bool:
    return _bears(headers, scope["app"].state.token)


def _bears(headers: Headers, token: str) -> bool:
    if key := headers.get("x-api-key", ""):  # the header that plugins of voice bots use
        return same_token(key.strip(), token)
    scheme, _, given = headers.get("authorization", "").partition(" ")
    return scheme.lower() == "bearer" and same_token(given.strip(), token)


def _is_upload(scope: Scope, headers: Headers, front: Front) -> bool:
    form = headers.get("content-type", "").lower().startswith("multipart/form-data")
    return scope["method"] == "POST" and form and UPLOADS.fullmatch(front.path) is not None


def _declared(headers: Headers) -> int:
    """Return the declared length of the body in bytes, 0 if it is missing or invalid."""
    length = headers.get("content-length", "")
    return int(length) if length.isdecimal() and length.isascii() and len(length) < 20 else 0


def _bounded(receive: Receive) -> Receive:
    """Wrap `receive` so that it raises HTTPException (413) after MAX_BODY_BYTES, whatever length was declared."""
    taken = 0

    async def receiving() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > MAX_BODY_BYTES:
            raise HTTPException(413, TOO_LARGE)
        return message

    return receiving


def _adding_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return sending


async def _refuse(
    scope: Scope, receive: Receive, send: Send, status: int, detail: str, more: dict[str, str] | None = None
) -> None:
    await JSONResponse({"detail": detail}, status, HEADERS | (more or {}))(scope, receive, send)


def same_token(given: str, token: str) -> bool:
    """Whether two tokens are equal, compared in constant time."""
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), token.encode())


def need_token(request: Request) -> None:
    """FastAPI dependency: 401 without the operator's token."""
    if not _bears(request.headers, request.app.state.token):
        raise HTTPException(401, NO_TOKEN, BEARER)
