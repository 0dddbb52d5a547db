"""Check an engine (`package.module:Class`) against the conformance rules and print a line for each.

A line has the result (ok, failed or skipped) and the reason. The exit code is 1 if a rule is broken.
"""

import argparse
import importlib
import sys
from pathlib import Path
from unittest import SkipTest


def main() -> int:
    """Check the engine that the command line names; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m persona_studio.engine.testing", description=__doc__)
    parser.add_argument("engine", help="module:class, as in its entry point")
    parser.add_argument("--avatar", type=Path, help="folder of an avatar to try it on, instead of the sample")
    parser.add_argument("--rule", action="append", help="check this rule alone; may be given again")
    parser.add_argument(
        "--tolerance", type=int, default=0, help="grey levels by which batches may differ from single frames"
    )
    asked = parser.parse_args()
    module, _, name = asked.engine.partition(":")
    loaded = set(sys.modules)
    sys.path.insert(0, "")
    try:
        made = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        print(f"There is no engine {asked.engine} ({error}); give module:class.", file=sys.stderr)
        return 2
    from engines.clip import ClipEngine
    from persona_studio.engine.testing import ClipSubject, FrameSubject, rules_for, sentence
    from shared.avatar.model import load_avatar

    try:
        rules = rules_for(made())
        if unknown := set(asked.rule or ()) - {rule.__name__ for rule in rules}:
            print(
                f"There is no rule {unknown.pop()}; choose from {', '.join(rule.__name__ for rule in rules)}.",
                file=sys.stderr,
            )
            return 2
        avatar = load_avatar(asked.avatar) if asked.avatar else None
        clips = isinstance(made(), ClipEngine)
        subject = (
            ClipSubject(made, avatar, loaded)
            if clips
            else FrameSubject(made, avatar, loaded, tolerance=asked.tolerance)
        )
    except Exception as error:  # any exception of the engine, or an error about the avatar
        print(f"{asked.engine} cannot be checked ({type(error).__name__}: {error}).", file=sys.stderr)
        return 2
    broken = 0
    for rule in rules:
        if asked.rule and rule.__name__ not in asked.rule:
            continue
        try:
            rule(subject)
            verdict, why = "ok", sentence(rule)
        except SkipTest as reason:
            verdict, why = "skipped", str(reason)
        except Exception as error:  # any exception of the engine
            verdict, why = (
                "failed",
                str(error) if isinstance(error, AssertionError) else f"{type(error).__name__}: {error}",
            )
            broken += 1
        print(f"{verdict:8} {rule.__name__:32} {' '.join(why.split())}", flush=True)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
