"""Client of a server with one of OpenAI's APIs; failures become sentences that do not contain the key."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import httpx2

from shared.errors import StudioError, short

CONNECT_S = 5.0
KEPT_CONNECTION_S = 60.0  # for which an idle connection is kept for the next request
LOOPBACK = ("127.0.0.1", "::1", "localhost")
KEPT_REFUSAL_BYTES = 4096


class ServerError(StudioError):
    """A request to a server failed; the message is one sentence with the remedy."""


@dataclass(slots=True)
class OpenAIServer:
    """Client of one server, which keeps its connection open between requests.

    Use it in one event loop and `close` it there.

    role: the server's name in sentences, such as "chat server". verb: completes "does not" in the sentence about a
    refusal. url: the API's address. key: API key, "" for none. setting: prefix of the server's variables, such as
    STUDIO_CONVERSATION_CHAT. patience_s: seconds for which the server may send nothing.
    """

    role: str
    verb: str
    url: str
    key: str
    setting: str
    patience_s: float
    _client: httpx2.AsyncClient | None = field(default=None, init=False)

    @property
    def name(self) -> str:
        """The server's name in messages: its role and its host."""
        return f"The {self.role} {urlsplit(self.url).hostname or ''}"

    @asynccontextmanager
    async def answer(self, path: str, **request: Any) -> AsyncIterator[httpx2.Response]:
        """POST a request and yield the response, its body still unread. Raises ServerError, also inside the block."""
        try:
            answer = await self._begun(path, request)
            try:
                if answer.status_code != httpx2.codes.OK:
                    raise ServerError(await self._refusal(answer))
                yield answer
            finally:
                await answer.aclose()
        except httpx2.TimeoutException as error:
            late = "accept the connection" if isinstance(error, httpx2.ConnectTimeout) else "respond"
            raise ServerError(f"{self.name} did not {late} in time; is it overloaded?") from None
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, OSError, UnicodeError) as error:
            why = (
                "connection failed" if isinstance(error, httpx2.ConnectError) else short(error) or type(error).__name__
            )
            raise ServerError(f"{self.name} cannot be reached ({why}); check {self.setting}_URL.") from None

    async def _begun(self, path: str, request: Mapping[str, Any]) -> httpx2.Response:
        client = await self._opened()
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}

        async def send() -> httpx2.Response:
            made = client.build_request("POST", f"{self.url}{path}", headers=headers, **request)
            return await client.send(made, stream=True)

        try:
            return await send()
        except (httpx2.ReadError, httpx2.WriteError, httpx2.RemoteProtocolError):
            return await send()  # the server had closed the kept connection

    async def _opened(self) -> httpx2.AsyncClient:
        if self._client is None:
            local = urlsplit(self.url).hostname in LOOPBACK
            verify = await asyncio.to_thread(certificates) if self.url.startswith("https:") else False
            self._client = httpx2.AsyncClient(
                timeout=httpx2.Timeout(self.patience_s, connect=CONNECT_S),
                limits=httpx2.Limits(keepalive_expiry=KEPT_CONNECTION_S),
                verify=verify,
                trust_env=not local,
                # Without compression, limits on the received bytes also limit the size of the body.
                headers={"Accept-Encoding": "identity"},
            )
        return self._client

    async def _refusal(self, answer: httpx2.Response) -> str:
        """The reason why the server refused the request, in one sentence without the key."""
        status = answer.status_code
        if status in (401, 403):
            return f"{self.name} rejects the API key ({status}); set {self.setting}_KEY."
        if status == 404:
            return f"{self.name} has no such address or model (404); check {self.setting}_URL and _MODEL."
        if answer.is_redirect:
            return f"{self.name} redirects to another address; set {self.setting}_URL to that address."
        body = b""
        async for block in answer.aiter_bytes():
            body += block
            if len(body) >= KEPT_REFUSAL_BYTES:
                break
        words = self.without_key(message_of(body[:KEPT_REFUSAL_BYTES]))
        why = f"{status}: {words}" if words else str(status)
        return f"{self.name} does not {self.verb} ({why}); try again, or check its settings."

    def without_key(self, words: str) -> str:
        """Return a server's message on one line of at most 200 characters, with the key as stars."""
        if self.key:
            words = words.replace(self.key, "***")
        words = "".join(char if char.isprintable() else " " for char in words)
        return " ".join(words.split())[:200].rstrip(".")

    async def close(self) -> None:
        """Close the connection; a later request opens another one."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()


@cache
def certificates() -> ssl.SSLContext:
    """Return a TLS context with the system's certificates, which are read once per process."""
    return ssl.create_default_context()


def message_of(body: bytes) -> str:
    """Return the message in a refusal's body: from OpenAI's or FastAPI's JSON, or the body itself if it is not HTML."""
    text = body.decode("utf-8", "replace")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return "" if text.lstrip().startswith("<") else text
    return error_words(found)


def error_words(found: Any) -> str:
    """Return the message in a server's JSON error, in OpenAI's or FastAPI's form; "" if there is none."""
    if isinstance(found, dict):
        error = found.get("error", found.get("detail", ""))
        found = error.get("message", "") if isinstance(error, dict) else error
    return found if isinstance(found, str) else ""
