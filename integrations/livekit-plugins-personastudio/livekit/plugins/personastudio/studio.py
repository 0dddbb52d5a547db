"""Client of the studio's API for sessions."""

import asyncio
import json
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from livekit.agents import APIConnectOptions

from .log import logger

LONGEST_PAUSE_S = 10.0  # between two attempts, whatever the studio asks for
BUILD_S = 120.0  # a portrait is prepared before the studio answers
ASK_S = 2.0  # for an answer about a session that is open


class PersonaStudioException(Exception):
    """A failure, described in one sentence that says what to do."""


@dataclass(frozen=True)
class SessionWish:
    """Request for a session: the body of `POST /api/v1/sessions`.

    fields: as in its JSON. portrait: an image's bytes, for a face of this session only.
    """

    fields: dict[str, Any]
    portrait: bytes | None = field(default=None, repr=False)

    def form(self) -> aiohttp.FormData:
        """Return the request as a form, with the portrait."""
        form = aiohttp.FormData()
        for name, value in self.fields.items():
            form.add_field(name, value if isinstance(value, str) else json.dumps(value))
        form.add_field("portrait", self.portrait, filename="portrait", content_type="application/octet-stream")
        return form


@dataclass(frozen=True)
class StudioSession:
    """A session that the studio has opened. sample_rate: sample rate of the voice that it expects, Hz."""

    id: str
    sample_rate: int


class StudioClient:
    """Client of one studio's API. Close it when it is no longer needed."""

    def __init__(self, url: str, token: str, options: APIConnectOptions) -> None:
        self._url, self._options = url.rstrip("/"), options
        # Not the job's HTTP client: that is closed before the last request, which ends the session.
        self._http = aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"})

    async def open(self, wish: SessionWish) -> StudioSession:
        """Open a single session, however many attempts that takes. Raises PersonaStudioException."""
        key, attempt = {"Idempotency-Key": uuid.uuid4().hex}, 0
        while True:
            try:
                return await self._post(wish, key)
            except _RetryableError as error:
                attempt += 1
                if attempt > self._options.max_retry:
                    raise PersonaStudioException(str(error)) from None
                pause = min(max(self._options.retry_interval, error.pause), LONGEST_PAUSE_S)
                logger.warning("session_not_opened", extra={"why": str(error), "attempt": attempt})
                await asyncio.sleep(pause)

    async def state(self, session: str) -> tuple[str, str]:
        """Return (state, note) of a session; a session that the studio does not know has ended.

        Raises PersonaStudioException if the studio does not answer.
        """
        timeout = aiohttp.ClientTimeout(total=ASK_S)
        try:
            async with self._http.get(f"{self._url}/api/v1/sessions/{session}", timeout=timeout) as answer:
                if answer.status == 404:
                    return "ended", "The studio does not know this session."
                answer.raise_for_status()
                row = await answer.json()
                return str(row["state"]), str(row["note"])
        except (TimeoutError, aiohttp.ClientError, ValueError, KeyError) as error:
            raise PersonaStudioException(_away(self._url, error)) from None

    async def end(self, session: str) -> None:
        """End a session, which takes the avatar out of its room.

        If the studio does not answer, the avatar leaves by itself after the agent has left.
        """
        timeout = aiohttp.ClientTimeout(total=ASK_S)
        try:
            async with self._http.delete(f"{self._url}/api/v1/sessions/{session}", timeout=timeout):
                pass
        except (TimeoutError, aiohttp.ClientError) as error:
            logger.warning("session_not_ended", extra={"why": _away(self._url, error)})

    async def close(self) -> None:
        """Close the connections; no request may follow."""
        await self._http.close()

    async def _post(self, wish: SessionWish, headers: dict[str, str]) -> StudioSession:
        body: dict[str, Any] = {"json": wish.fields} if wish.portrait is None else {"data": wish.form()}
        patience = self._options.timeout + (0 if wish.portrait is None else BUILD_S)
        timeout = aiohttp.ClientTimeout(total=patience, sock_connect=self._options.timeout)
        try:
            async with self._http.post(
                f"{self._url}/api/v1/sessions", headers=headers, timeout=timeout, **body
            ) as answer:
                if answer.status == 201:
                    made = await answer.json()
                    return StudioSession(str(made["session_id"]), int(made["sample_rate"]))
                refusal, pause = await _detail(answer), answer.headers.get("Retry-After", "")
        except (TimeoutError, aiohttp.ClientConnectionError) as error:
            raise _RetryableError(_away(self._url, error)) from None
        except (aiohttp.ClientError, ValueError, KeyError) as error:
            raise PersonaStudioException(f"There is no Persona Studio at {self._url}: {error}.") from None
        if answer.status >= 500:
            raise _RetryableError(refusal, float(pause) if pause.isdecimal() else 0.0)
        raise PersonaStudioException(refusal)


class _RetryableError(PersonaStudioException):
    """A failure that may pass in a moment. pause: seconds that the studio asks for."""

    def __init__(self, what: str, pause: float = 0.0) -> None:
        super().__init__(what)
        self.pause = pause


async def _detail(answer: aiohttp.ClientResponse) -> str:
    """Return the studio's own sentence from a refusal, or its status if there is none."""
    try:
        detail = (await answer.json()).get("detail")
    except (aiohttp.ClientError, ValueError, AttributeError):
        detail = None
    return detail if isinstance(detail, str) and detail else f"The studio answered {answer.status} {answer.reason}."


def _away(url: str, error: BaseException) -> str:
    why = "no answer in time" if isinstance(error, asyncio.TimeoutError) else str(error) or type(error).__name__
    return f"The studio at {url} cannot be reached ({why}); is it running, with sessions.allowed_livekit_urls set?"


def portrait_bytes(image: str | Path | bytes) -> bytes:
    """Return an image's bytes, read from the file if it is a path. Raises PersonaStudioException."""
    if isinstance(image, bytes):
        return image
    try:
        return Path(image).read_bytes()
    except OSError as error:
        raise PersonaStudioException(f"The avatar_image {image} cannot be read ({error.strerror}).") from None
