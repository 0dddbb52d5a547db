"""Check a motion template of unknown origin in a separate process, isolated from the program.

`python -m engines.inspect_template FILE SUFFIX` prints one JSON object: {"frames", "rate"} of a template that an engine
plays, {"error"}, or {"suffixes"}, the known template suffixes, if no engine plays files whose name ends in SUFFIX.
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
    """Read a template with the first engine that accepts it.

    suffix: the file's suffix. Raises StudioError with the sentence of the last engine that plays files of that suffix.
    """
    refusal = StudioError("No engine here plays motion templates; send a video.")
    for name in names(engines):
        try:
            engine = load(name, engines)
        except StudioError:
            continue  # an engine that cannot be loaded plays no templates
        if not isinstance(engine, FrameEngine) or suffix not in engine.template_suffixes:
            continue
        try:
            return engine.read_template(path)
        except StudioError as error:
            refusal = error
    raise refusal


def main() -> int:
    """Print the template's length and rate, or one error sentence, as JSON; return the exit code."""
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
