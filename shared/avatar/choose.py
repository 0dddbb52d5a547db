"""Changes the choice of still or excluded parts for an avatar's body film."""

import shutil
from pathlib import Path

from shared.avatar.build import FilmChoice, begin_folder, fill_with_body, read_portrait
from shared.avatar.film.report import read_film_report
from shared.avatar.manifest import read_avatar_manifest
from shared.avatar.model import avatar_folder, remove_avatar
from shared.avatar.plate import Plate
from shared.avatar.plate_build import follow_plate
from shared.errors import StudioError
from shared.media.still import read_image
from shared.runtime.progress import StageProgress


def choose_again(home: Path, name: str, choice: FilmChoice, progress: StageProgress = lambda stage, done: None) -> Path:
    """Apply another still or other excluded parts to an avatar's film, and return the avatar's folder.

    The film is analysed again from the avatar's plate frames; `choice.keep` is ignored. The avatar must not be in use
    meanwhile. Raises StudioError, with the avatar unchanged, if it has no film or the choice cannot be used.
    """
    folder = avatar_folder(home, name)
    manifest, report = read_avatar_manifest(folder), read_film_report(folder)
    if report is None:
        raise StudioError(f"Avatar '{name}' has no film report; add it again with a video as its body.")
    unfinished, portrait = begin_folder(folder), manifest.sources.portrait
    try:
        body = Path(manifest.sources.body or name)
        followed = follow_plate(
            unfinished,
            Plate.load(folder),
            report.frames,
            body.name,
            progress,
            exclude=report.excluded() if choice.exclude is None else choice.exclude,
            still_s=report.still / report.fps if choice.still_s is None else choice.still_s,
        )
        read = read_portrait(read_image(folder / "portrait.png"), portrait) if portrait else None
        if report.kept:
            shutil.copyfile(folder / report.kept, unfinished / report.kept)
        kept: dict[str, str | int] = {"kept": report.kept, "kept_bytes": report.kept_bytes}
        given = Path(portrait) if portrait else None
        fill_with_body(unfinished, name, given, body, manifest.rights, read, followed, kept)
        unfinished.chmod(0o700)
        remove_avatar(home, name)
        unfinished.rename(folder)
    except OSError as error:
        raise StudioError(
            f"Avatar '{name}' cannot be written ({error.strerror}); free some space in its folder, or make it writable."
        ) from None
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    progress("done", 1.0)
    return folder
