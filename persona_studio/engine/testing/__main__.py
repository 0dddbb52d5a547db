"""`python -m persona_studio.engine.testing package.module:Class`: a line for each rule, ok, failed or skipped and why.

The exit code is 1 where a rule is broken.
"""

import argparse
import importlib
import sys
from pathlib import Path
from unittest import SkipTest


def main() -> int:
    """Check the engine that the command line names."""
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
    from persona_studio.engine.testing.rules import RULES, sentence
    from persona_studio.engine.testing.subject import Subject
    from shared.avatar.model import load_avatar

    if unknown := set(asked.rule or ()) - {rule.__name__ for rule in RULES}:
        print(
            f"There is no rule {unknown.pop()}; there are {', '.join(rule.__name__ for rule in RULES)}.",
            file=sys.stderr,
        )
        return 2
    subject = Subject(made, load_avatar(asked.avatar) if asked.avatar else None, None, asked.tolerance, loaded)
    broken = 0
    for rule in RULES:
        if asked.rule and rule.__name__ not in asked.rule:
            continue
        try:
            rule(subject)
            verdict, why = "ok", sentence(rule)
        except SkipTest as reason:
            verdict, why = "skipped", str(reason)
        except Exception as error:  # of the engine, whatever it is
            verdict, why = (
                "failed",
                str(error) if isinstance(error, AssertionError) else f"{type(error).__name__}: {error}",
            )
            broken += 1
        print(f"{verdict:8} {rule.__name__:32} {' '.join(why.split())}", flush=True)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
