"""The `studio` command's first second: Ctrl-C while its modules are loaded ends it as later on, without a traceback."""

import sys

INTERRUPTED = 130


def main() -> None:
    """Load the command and run it."""
    try:
        from cli.app import main as run

        run()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
