"""Client of the service's HTTP interface, which submits tasks and queries their status. It retries no request.

The `code` in the response body determines the outcome. The HTTP status of an application response and its field
`success` are ignored.
"""

import json
from dataclasses import dataclass
from typing import Any, Self

import httpx2

DONE, FAILED = frozenset({2}), frozenset({3, 4})  # values of `status`; with any other value the task is still running
ACCEPTED, BUSY, WRONG_PARAMETERS, NO_LOCK, NO_TASK, SYSTEM_ERROR = 10000, 10001, 10002, 10003, 10004, 9999
TIMEOUT = httpx2.Timeout(5.0, connect=2.0)
SAID_CHARACTERS = 200


class NotSentError(Exception):
    """The service cannot be reached, so it has not received the request."""


class UnclearError(Exception):
    """The response cannot be understood, so the outcome of the request is unknown."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A response of the service.

    code: result code, one of the constants above. status, progress (0 to 100), result: a task's; 0, 0 and "" for other
        requests. said: its message, one line.
    """

    code: int
    said: str
    status: int = 0
    progress: int = 0
    result: str = ""


class ServiceClient:
    """Connection to one service; a context manager."""

    def __init__(self, url: str) -> None:
        self._url = url
        # Loading the certificates takes a while, so it is done for https only.
        self._http = httpx2.Client(timeout=TIMEOUT, trust_env=False, verify=url.startswith("https:"))

    def submit(self, code: str, speech: str, film: str) -> Reply:
        """Submit a task named `code`; the file names are relative to the service's temp folder.

        Raises NotSentError and UnclearError.
        """
        wanted = {
            "audio_url": speech, "video_url": film, "code": code,
            "chaofen": 0, "watermark_switch": 0, "digital_auth": 0, "pn": 1,
        }  # fmt: skip
        return self._asked("POST", "/easy/submit", json=wanted)

    def query(self, code: str) -> Reply:
        """Query a task's status. Raises NotSentError and UnclearError.

        The service forgets a task as soon as it has reported the task's end.
        """
        return self._asked("GET", "/easy/query", params={"code": code})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *ended: object) -> None:
        self._http.close()

    def _asked(self, method: str, path: str, **more: Any) -> Reply:
        try:
            answer = self._http.request(method, self._url + path, **more)
        except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
            raise NotSentError(_one_line(error) or type(error).__name__) from None
        except httpx2.HTTPError as error:
            raise UnclearError(_one_line(error) or type(error).__name__) from None
        if answer.status_code != 200:
            raise UnclearError(f"HTTP status {answer.status_code}")
        try:
            return _reply(json.loads(answer.content))
        except (ValueError, TypeError, KeyError, AttributeError):
            raise UnclearError("an answer that does not belong to this service") from None


def _reply(body: Any) -> Reply:
    """Parse a response; raise ValueError, TypeError, KeyError or AttributeError if it is not one of the service's."""
    data = body.get("data") or {}
    return Reply(
        code=int(body["code"]),
        said=_one_line(data.get("msg") or body.get("msg") or ""),
        status=int(data.get("status") or 0),
        progress=min(100, max(0, int(data.get("progress") or 0))),
        result=str(data.get("result") or ""),
    )


def _one_line(said: object) -> str:
    return " ".join(str(said).split())[:SAID_CHARACTERS]
