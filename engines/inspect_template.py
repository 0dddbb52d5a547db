"""Reads a stranger's motion template in a process of its own, away from the program.

`python -m engines.inspect_template FILE SUFFIX` prints one JSON object: {"frames", "rate"} of a template that one of
the engines plays, {"error"}, or {"suffixes"}, those that there are, where no engine plays files whose name ends in
SUFFIX.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from engines.api import FrameEngine, MotionTemplate
from engines.registry import load, names, template_suffixes
from shared.config.settings import load_settings
from shared.errors import StudioError


def read_with_any_engine(path: Path, suffix: str, engines: Mapping[str, str]) -> MotionTemplate:
    """The template in a file, read by the first engine that knows it.

    suffix: of its name. Raises StudioError, in the words of the last engine that plays files of such a name.
    """
    refusal = StudioError("No engine here plays motion templates; send a video.")
    for name in names(engines):
        try:
            engine = load(name, engines)
        except StudioError:
            continue  # of an engine that cannot be loaded nothing can be played
        if not isinstance(engine, FrameEngine) or suffix not in engine.template_suffixes:
            continue
        try:
            return engine.read_template(path)
        except StudioError as error:
            refusal = error
    raise refusal


def main() -> int:
    """Print what a template holds, or one sentence, as JSON; returns the exit code."""
    path, suffix = Path(sys.argv[1]), sys.argv[2]
    try:
        engines = load_settings().engines
        if suffix not in (known := template_suffixes(engines)):
            print(json.dumps({"suffixes": sorted(known)}))
            return 1
        template = read_with_any_engine(path, suffix, engines)
    except StudioError as error:
        print(json.dumps({"error": str(error)}))
        return 1
    print(json.dumps({"frames": len(template), "rate": str(template.rate)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
