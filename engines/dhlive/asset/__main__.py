"""Command line for published assets and for checking a film.

`python -m engines.dhlive.asset import FOLDER NAME` adds an avatar, `export NAME FOLDER` writes an asset, `check NAME`
reports whether an avatar's film is suitable.

An asset is a folder with `combined_data.json.gz` and `01.mp4`, as DH_live and its web page use them.
"""

import argparse
import sys
from pathlib import Path

from engines.dhlive.asset.exchange import export_asset, import_asset
from engines.dhlive.asset.film_fitness import check_body, fitness
from engines.dhlive.asset.person import FILE, read_person, reprojection_px
from shared.avatar.model import avatar_folder, load_avatar
from shared.config.settings import load_settings
from shared.errors import StudioError


def main() -> int:
    """Run the command; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m engines.dhlive.asset", description="Import and export published assets."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    taken = commands.add_parser("import", help="add an avatar from an asset's folder")
    taken.add_argument("folder", type=Path)
    taken.add_argument("name")
    taken.add_argument("--rights", required=True, help="why the person may be shown")
    given = commands.add_parser("export", help="write an avatar's asset folder")
    given.add_argument("name")
    given.add_argument("folder", type=Path)
    judged = commands.add_parser(
        "check", help="print whether an avatar's film is suitable, and which part of it is played"
    )
    judged.add_argument("name")
    asked = parser.parse_args()
    home = load_settings().home
    try:
        if asked.command == "import":
            made = import_asset(asked.folder, home, asked.name, asked.rights)
            error = reprojection_px(read_person(asked.folder / FILE))
            print(f"{made}: the mesh lies {error:.2f} pixels of the crop from the tracked face, on average.")
        elif asked.command == "check":
            avatar = load_avatar(avatar_folder(home, asked.name))
            check_body(avatar)
            print("\n".join(fitness(avatar)))
        else:
            export_asset(load_avatar(avatar_folder(home, asked.name)), asked.folder)
            print(asked.folder)
    except StudioError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
