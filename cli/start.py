"""Entry point of the `studio` command; Ctrl-C ends it without a traceback even while its modules are imported."""

import sys

INTERRUPTED = 130


def main() -> None:
    """Import the command and run it; exit code 130 on Ctrl-C."""
    try:
        from cli.app import main as run

        run()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
