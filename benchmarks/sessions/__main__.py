"""`python -m benchmarks.sessions [cost|admission|ends|kills ...]`: print figures of sessions as JSON."""

import argparse
import json

from benchmarks.sessions.measure import PARTS, measure

if __name__ == "__main__":
    given = argparse.ArgumentParser(prog="python -m benchmarks.sessions", description=__doc__)
    given.add_argument("parts", nargs="*", choices=[*PARTS, []], help="parts to measure; all by default")
    given.add_argument("--seconds", type=float, default=20.0, help="duration of each measurement of a running session")
    asked = given.parse_args()
    print(json.dumps(measure(asked.seconds, tuple(asked.parts) or PARTS), indent=2))
