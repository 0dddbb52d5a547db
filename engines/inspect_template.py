"""Reads a stranger's motion template in a process of its own, away from the program.

`python -m engines.inspect_template FILE` prints one JSON object: {"frames", "rate"} of a template that one of the engines
plays, or {"error"}.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from engines.api import MotionTemplate
from engines.registry import load_frame_engine, names
from shared.config.settings import load_settings
from shared.errors import StudioError


def read_with_any_engine(path: Path, engines: Mapping[str, str]) -> MotionTemplate:
    """The template in a file, read by the first engine that knows it. Raises StudioError, in the words of the last engine
    that plays any."""
    refusal = StudioError("No engine here plays motion templates; send a video.")
    for name in names(engines):
        try:
            engine = load_frame_engine(name, engines)
            if "template" in engine.info.inputs:
                return engine.read_template(path)
        except StudioError as error:
            refusal = error
    raise refusal


def main() -> int:
    try:
        template = read_with_any_engine(Path(sys.argv[1]), load_settings().engines)
    except StudioError as error:
        print(json.dumps({"error": str(error)}))
        return 1
    print(json.dumps({"frames": len(template), "rate": str(template.rate)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
