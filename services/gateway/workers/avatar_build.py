"""Building an avatar in a process of its own, so that minutes of tracking never slow the program.

`python -m services.gateway.workers.avatar_build HOME NAME RIGHTS PORTRAIT [BODY]` prints one JSON object a line:
{"stage", "done"} while it goes on, {"error"} when it could not be made.
"""

import json
import sys
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

from shared.avatar.build import add_avatar
from shared.errors import StudioError
from shared.runtime.module_process import ModuleError, stream_json_module


@dataclass(frozen=True, slots=True)
class BuildProgress:
    """How far an avatar's build is. stage: what is being done; done: the share of all of it, 0 to 1."""

    stage: str
    done: float


async def build(
    home: Path, name: str, rights: str, portrait: Path, body: Path | None, told: Callable[[str, float], None]
) -> None:
    """Run the child until it is done. Raises StudioError in the child's own words."""
    arguments = [str(home), name, rights, str(portrait), *([str(body)] if body else [])]
    error = ""
    try:
        async with aclosing(stream_json_module("services.gateway.workers.avatar_build", *arguments)) as lines:
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
    home, name, rights, portrait, *body = sys.argv[1:]
    try:
        add_avatar(
            Path(home), name, Path(portrait), Path(body[0]) if body else None, rights,
            lambda stage, done: _say(stage=stage, done=round(done, 3)),
        )  # fmt: skip
    except StudioError as error:
        _say(error=str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
