"""Client of the studio's API for sessions."""

import asyncio
import json
import uuid
from typing import Any

import aiohttp

ATTEMPTS, PAUSE_S, LONGEST_PAUSE_S = 3, 1.0, 10.0
OPEN_S = 10.0
BUILD_S = 120.0  # a portrait is prepared before the studio answers
ASK_S = 2.0  # for an answer about a session that is open


class PersonaStudioException(Exception):
    """A failure, described in one sentence that says what to do."""


class _RetryableError(PersonaStudioException):
    """A failure that may pass in a moment. pause: seconds that the studio asks for."""

    def __init__(self, what: str, pause: float = 0.0) -> None:
        super().__init__(what)
        self.pause = pause


class StudioClient:
    """Client of one studio's API. Close it when it is no longer needed."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url.rstrip("/")
        self._http = aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"})

    async def open(self, fields: dict[str, Any], portrait: bytes | None) -> str:
        """Open a single session, however many attempts that takes; return its id.

        fields: as in the JSON of `POST /api/v1/sessions`. portrait: an image's bytes. Raises
        PersonaStudioException.
        """
        key = {"Idempotency-Key": uuid.uuid4().hex}
        for left in range(ATTEMPTS - 1, -1, -1):
            try:
                return await self._post(fields, portrait, key)
            except _RetryableError as error:
                if not left:
                    raise PersonaStudioException(str(error)) from None
                await asyncio.sleep(min(max(PAUSE_S, error.pause), LONGEST_PAUSE_S))
        raise AssertionError

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
        except (aiohttp.ClientError, TimeoutError, ValueError, KeyError) as error:
            raise PersonaStudioException(self._away(error)) from None

    async def end(self, session: str) -> None:
        """End a session, which takes the avatar out of its room.

        If the studio does not answer, the avatar leaves by itself after the bot has left.
        """
        timeout = aiohttp.ClientTimeout(total=ASK_S)
        try:
            async with self._http.delete(f"{self._url}/api/v1/sessions/{session}", timeout=timeout):
                pass
        except (aiohttp.ClientError, TimeoutError):
            pass

    async def close(self) -> None:
        """Close the connections; no request may follow."""
        await self._http.close()

    async def _post(self, fields: dict[str, Any], portrait: bytes | None, headers: dict[str, str]) -> str:
        body: dict[str, Any] = {"json": fields} if portrait is None else {"data": _form(fields, portrait)}
        timeout = aiohttp.ClientTimeout(total=OPEN_S if portrait is None else BUILD_S, sock_connect=OPEN_S)
        try:
            async with self._http.post(
                f"{self._url}/api/v1/sessions", headers=headers, timeout=timeout, **body
            ) as answer:
                if answer.status == 201:
                    return str((await answer.json())["session_id"])
                refusal, pause = await _detail(answer), answer.headers.get("Retry-After", "")
        except (aiohttp.ClientConnectionError, TimeoutError) as error:
            raise _RetryableError(self._away(error)) from None
        except (aiohttp.ClientError, ValueError, KeyError) as error:
            raise PersonaStudioException(f"There is no Persona Studio at {self._url}: {error}.") from None
        if answer.status >= 500:
            raise _RetryableError(refusal, float(pause) if pause.isdecimal() else 0.0)
        raise PersonaStudioException(refusal)

    def _away(self, error: BaseException) -> str:
        why = "no answer in time" if isinstance(error, TimeoutError) else str(error) or type(error).__name__
        return (
            f"The studio at {self._url} cannot be reached ({why}); is it running, with sessions.allowed_livekit_urls "
            "set?"
        )


def _form(fields: dict[str, Any], portrait: bytes) -> aiohttp.FormData:
    form = aiohttp.FormData()
    for name, value in fields.items():
        form.add_field(name, value if isinstance(value, str) else json.dumps(value))
    form.add_field("portrait", portrait, filename="portrait", content_type="application/octet-stream")
    return form


async def _detail(answer: aiohttp.ClientResponse) -> str:
    """Return the studio's own sentence from a refusal, or its status if there is none."""
    try:
        detail = (await answer.json()).get("detail")
    except (aiohttp.ClientError, ValueError, AttributeError):
        detail = None
    return detail if isinstance(detail, str) and detail else f"The studio answered {answer.status} {answer.reason}."
