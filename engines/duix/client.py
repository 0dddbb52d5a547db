"""The service's HTTP interface: submit a task, ask how it is. No request is repeated here.

A code in the answer's body decides, whatever the HTTP status of an application's answer and its field `success` are.
"""

import json
from dataclasses import dataclass
from typing import Any, Self

import httpx2

DONE, FAILED = frozenset({2}), frozenset({3, 4})  # values of `status`; everything else is running
ACCEPTED, BUSY, WRONG_PARAMETERS, NO_LOCK, NO_TASK, SYSTEM_ERROR = 10000, 10001, 10002, 10003, 10004, 9999
TIMEOUT = httpx2.Timeout(5.0, connect=2.0)
SAID_CHARACTERS = 200


class NotSentError(Exception):
    """The service cannot be reached: the request has not come to it."""


class UnclearError(Exception):
    """No answer that can be understood: what became of the request is not known."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of the service.

    code: of the service, see above. status, progress (0 to 100), result: of a task; 0, 0 and "" for other requests.
    said: its message, one line.
    """

    code: int
    said: str
    status: int = 0
    progress: int = 0
    result: str = ""


class ServiceClient:
    """One service; a context manager."""

    def __init__(self, url: str) -> None:
        self._url = url
        # Certificates are read, which takes a while, where the address has one.
        self._http = httpx2.Client(timeout=TIMEOUT, trust_env=False, verify=url.startswith("https:"))

    def submit(self, code: str, speech: str, film: str) -> Reply:
        """Hand in a task under the name `code`; the files are named relative to the service's temp folder.

        Raises NotSentError and UnclearError.
        """
        wanted = {
            "audio_url": speech, "video_url": film, "code": code,
            "chaofen": 0, "watermark_switch": 0, "digital_auth": 0, "pn": 1,
        }  # fmt: skip
        return self._asked("POST", "/easy/submit", json=wanted)

    def query(self, code: str) -> Reply:
        """How a task is. The service forgets a task whose end it has told. Raises NotSentError and UnclearError."""
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
            raise UnclearError("an answer that is not of this service") from None


def _reply(body: Any) -> Reply:
    """Raise ValueError, TypeError, KeyError or AttributeError for what is not an answer."""
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
