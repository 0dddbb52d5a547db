"""`python -m tests.parity ENGINE DUMP`: compare our engine with the results of its original.

DUMP is a folder that a peer script wrote with the original's own code: weights, inputs and results. One line is printed
per level; the exit status is 1 if a level differs.
"""

import sys
from importlib import import_module
from pathlib import Path

from shared.errors import StudioError

ENGINES = ("dhlive", "liveportrait", "personalive", "stableavatar")
WRITTEN = ("results", "*/io.npz", "*.io.safetensors", "manifest.json")  # by the peer scripts


def main() -> int:
    if len(sys.argv) != 3 or sys.argv[1] not in ENGINES:
        print(f"usage: python -m tests.parity {'|'.join(ENGINES)} DUMP")
        return 2
    dump = Path(sys.argv[2])
    if not any(any(dump.glob(pattern)) for pattern in WRITTEN):
        print(f"{dump} holds no results; have the peer script write it first.")
        return 2
    try:
        engine = import_module(f"tests.parity.{sys.argv[1]}")
    except ModuleNotFoundError as error:
        print(f"{error.name} is missing here.")
        return 2
    differ = False
    try:
        for level in engine.levels(dump):
            print(level, flush=True)
            differ |= not level.agrees
    except (OSError, StudioError) as error:
        print(f"{dump} is incomplete; have the peer script write it again: {error}")
        return 2
    return int(differ)


if __name__ == "__main__":
    sys.exit(main())
