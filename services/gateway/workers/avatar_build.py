"""Building an avatar in a process of its own, so that minutes of tracking never slow the program.

`python -m services.gateway.workers.avatar_build REQUEST`, the fields of an `AvatarRequest` as a JSON object, prints one JSON
object a line: {"stage", "done"} while it goes on, {"error"} when it could not be made.
"""

import json
import sys
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from shared.avatar.build import FilmChoice, add_avatar
from shared.avatar.film.build import spans_of
from shared.errors import StudioError
from shared.runtime.module_process import ModuleError, stream_json_module


class AvatarRequest(BaseModel):
    """What to build. still: second of the film to take as the portrait; exclude: its parts not to show, FROM-TO in seconds each;
    keep_film: whether the source film stays with the avatar."""

    model_config = ConfigDict(frozen=True)

    home: Path
    name: str
    rights: str
    portrait: Path | None
    body: Path | None
    still: float | None = None
    exclude: tuple[str, ...] = ()
    keep_film: bool = False


@dataclass(frozen=True, slots=True)
class BuildProgress:
    """How far an avatar's build is. stage: what is being done; done: the share of all of it, 0 to 1."""

    stage: str
    done: float


async def build(request: AvatarRequest, told: Callable[[str, float], None]) -> None:
    """Run the child until it is done. Raises StudioError in the child's own words."""
    error = ""
    try:
        async with aclosing(
            stream_json_module("services.gateway.workers.avatar_build", request.model_dump_json())
        ) as lines:
            async for words in lines:
                error = str(words.get("error", error))
                if "stage" in words:
                    told(str(words["stage"]), float(words["done"]))
    except ModuleError:
        raise StudioError(error or "The avatar could not be built; the studio's log says why.") from None
    if error:
        raise StudioError(error)


def _say(**words: object) -> None:
    print(json.dumps(words), flush=True)


def main() -> int:
    request = AvatarRequest.model_validate_json(sys.argv[1])
    try:
        add_avatar(
            request.home,
            request.name,
            request.portrait,
            request.body,
            request.rights,
            lambda stage, done: _say(stage=stage, done=round(done, 3)),
            film=FilmChoice(request.still, spans_of(request.exclude), request.keep_film),
        )
    except StudioError as error:
        _say(error=str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
