"""A server with one of OpenAI's APIs: a request to it, and its failures as sentences without the key."""

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
KEPT_CONNECTION_S = 60.0  # between two questions
LOOPBACK = ("127.0.0.1", "::1", "localhost")
KEPT_REFUSAL_BYTES = 4096


class ServerError(StudioError):
    """A server did not do its part: one sentence with the way out."""


@dataclass(slots=True)
class OpenAIServer:
    """A server that is asked again and again over the same connection.

    Lives in one event loop; `close` it there.

    role: what it is called in sentences, such as "chat server". verb: what it does not do when it refuses. setting:
    how its variables begin, such as STUDIO_CONVERSATION_CHAT. patience_s: how long it may send nothing.
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
        """The server's answer to a POST, with the body yet to be read. Raises ServerError, also while it is read."""
        try:
            answer = await self._begun(path, request)
            try:
                if answer.status_code != httpx2.codes.OK:
                    raise ServerError(await self._refusal(answer))
                yield answer
            finally:
                await answer.aclose()
        except httpx2.TimeoutException as error:
            late = "does not take the connection" if isinstance(error, httpx2.ConnectTimeout) else "has sent nothing"
            raise ServerError(f"{self.name} {late} for too long; is it overloaded?") from None
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, OSError, UnicodeError) as error:
            why = "it is away" if isinstance(error, httpx2.ConnectError) else short(error) or type(error).__name__
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
            return await send()  # the connection was kept from before, and the server has closed it

    async def _opened(self) -> httpx2.AsyncClient:
        if self._client is None:
            local = urlsplit(self.url).hostname in LOOPBACK
            verify = await asyncio.to_thread(certificates) if self.url.startswith("https:") else False
            self._client = httpx2.AsyncClient(
                timeout=httpx2.Timeout(self.patience_s, connect=CONNECT_S),
                limits=httpx2.Limits(keepalive_expiry=KEPT_CONNECTION_S),
                verify=verify,
                trust_env=not local,
                # What is read is bounded as it comes, not after it was unpacked.
                headers={"Accept-Encoding": "identity"},
            )
        return self._client

    async def _refusal(self, answer: httpx2.Response) -> str:
        """Why the server does not do it, in one sentence without the key."""
        status = answer.status_code
        if status in (401, 403):
            return f"{self.name} refuses the key ({status}); set {self.setting}_KEY."
        if status == 404:
            return f"{self.name} has no such address or model (404); check {self.setting}_URL and _MODEL."
        if answer.is_redirect:
            return f"{self.name} sends on to another address; set {self.setting}_URL to that one."
        body = b""
        async for block in answer.aiter_bytes():
            body += block
            if len(body) >= KEPT_REFUSAL_BYTES:
                break
        words = self.without_key(message_of(body[:KEPT_REFUSAL_BYTES]))
        why = f"{status}: {words}" if words else str(status)
        return f"{self.name} does not {self.verb} ({why}); try again, or check its settings."

    def without_key(self, words: str) -> str:
        """A server's own words on one line, at most 200 characters, without the key."""
        if self.key:
            words = words.replace(self.key, "***")
        words = "".join(char if char.isprintable() else " " for char in words)
        return " ".join(words.split())[:200].rstrip(".")

    async def close(self) -> None:
        """End the connection."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()


@cache
def certificates() -> ssl.SSLContext:
    """The system's certificates, read once."""
    return ssl.create_default_context()


def message_of(body: bytes) -> str:
    """The message in a refusal: OpenAI's form, FastAPI's, else plain text."""
    text = body.decode("utf-8", "replace")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return "" if text.lstrip().startswith("<") else text
    return error_words(found)


def error_words(found: Any) -> str:
    """The message in an error that a server sends as JSON; "" where it has none."""
    if isinstance(found, dict):
        error = found.get("error", found.get("detail", ""))
        found = error.get("message", "") if isinstance(error, dict) else error
    return found if isinstance(found, str) else ""
