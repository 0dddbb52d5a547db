"""Avatar builds in a separate process, so that minutes of face tracking do not slow down the program.

`python -m services.gateway.children.avatar_build FILE` reads a JSON object with the fields of an `AvatarRequest` or a
`ChoiceRequest`. It prints one JSON object per line: {"stage", "done"} for progress, {"error"} if the build fails. The
request is in a file because every user of the machine can read command lines.
"""

import json
import sys
import tempfile
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter

from shared.errors import StudioError
from shared.runtime.module_process import ModuleError, stream_json_module
from shared.runtime.progress import StageProgress


class AvatarRequest(BaseModel):
    """The avatar to build.

    rights: who may use it. portrait, body: source files, at least one. still: second of the film to use as the
    portrait. exclude: parts of the film not to use, each FROM-TO in seconds. keep_film: whether to store the source
    film with the avatar.
    """

    model_config = ConfigDict(frozen=True)

    home: Path
    name: str
    rights: str
    portrait: Path | None
    body: Path | None
    still: float | None = None
    exclude: tuple[str, ...] = ()
    keep_film: bool = True


class ChoiceRequest(BaseModel):
    """A new choice of still and excluded parts for a finished avatar's film; None keeps the earlier choice."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    home: Path
    name: str
    still: float | None = None
    exclude: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class BuildProgress:
    """Progress of an avatar's build. stage: the current step. done: finished share of the whole build, 0 to 1."""

    stage: str
    done: float


async def build(request: AvatarRequest | ChoiceRequest, told: Callable[[str, float], None]) -> None:
    """Build an avatar in a child process and wait for it. Raises StudioError with the child's error sentence.

    told: called with the stage and the finished share of the whole build, 0 to 1.
    """
    error = ""
    try:
        with tempfile.TemporaryDirectory(prefix="studio-avatar-") as folder:
            asked = Path(folder) / "request.json"
            asked.write_text(json.dumps(request.model_dump(), default=str), encoding="utf-8")
            async with aclosing(stream_json_module("services.gateway.children.avatar_build", str(asked))) as lines:
                async for words in lines:
                    error = str(words.get("error", error))
                    if "stage" in words:
                        told(str(words["stage"]), float(words["done"]))
    except OSError as problem:
        raise StudioError(
            f"The folder for temporary files cannot be written ({problem.strerror}); free some space, or set TMPDIR."
        ) from None
    except ModuleError:
        raise StudioError(error or "The avatar could not be built; the studio's log says why.") from None
    if error:
        raise StudioError(error)


def _say(**words: object) -> None:
    print(json.dumps(words), flush=True)


def _make(request: AvatarRequest | ChoiceRequest, progress: StageProgress) -> None:
    # Imported here because the gateway, which imports this module, never builds an avatar itself.
    from shared.avatar.build import FilmChoice, add_avatar
    from shared.avatar.choose import choose_again
    from shared.avatar.film.build import spans_of

    spans = None if request.exclude is None else spans_of(request.exclude)
    if isinstance(request, ChoiceRequest):
        choose_again(request.home, request.name, FilmChoice(request.still, spans), progress)
        return
    film = FilmChoice(request.still, spans, request.keep_film)
    add_avatar(request.home, request.name, request.portrait, request.body, request.rights, progress, film=film)


def main() -> int:
    """Build or change the avatar that the request names, printing its progress; returns the exit code."""
    asked = Path(sys.argv[1]).read_bytes()
    request = TypeAdapter[AvatarRequest | ChoiceRequest](AvatarRequest | ChoiceRequest).validate_python(
        json.loads(asked)
    )
    try:
        _make(request, lambda stage, done: _say(stage=stage, done=round(done, 3)))
    except StudioError as error:
        _say(error=str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
