"""Reasons why a file cannot be used, each as one sentence with the file's name and the remedy."""

from pathlib import Path

from shared.errors import StudioError, short
from shared.media.intake.signature import head_of, signature_of_bytes

FILMS = "a video or sound file"
MAX_BOXES = 10_000  # top-level boxes of an MP4 that are examined


def check_file(path: Path, wanted: str) -> None:
    """Raise StudioError unless the path is a readable file with content. wanted: what to give, such as "a JPEG"."""
    try:
        if path.is_dir():
            raise StudioError(f"{path.absolute().name or path} is a folder; give {wanted} that is in it.")
        if path.is_symlink() and not path.exists():
            raise StudioError(f"{path.name} is a link to a file that no longer exists; give {wanted}.")
        if not path.exists():
            raise StudioError(f"There is no file {path}; check the path.")
        if not path.is_file():
            raise StudioError(f"{path.name} is a device or a pipe; give {wanted}.")
        if path.stat().st_size == 0:
            raise StudioError(f"{path.name} is empty; give {wanted}.")
        with path.open("rb"):
            pass
    except OSError as error:
        raise StudioError(f"{path.name[:80]} cannot be read ({short(error)}); give {wanted}.") from None


def check_readable(path: Path) -> None:
    """Raise StudioError for a path that is no readable file, and for HEIC and AVIF images, which FFmpeg would open."""
    check_file(path, FILMS)
    signed = signature_of_bytes(head_of(path))
    if signed is not None and signed.name in ("HEIC", "AVIF"):  # FFmpeg would decode one of its tiles
        raise StudioError(image_in_place_of_film(path.name, signed.name))


def image_in_place_of_film(name: str, form: str) -> str:
    """Return the sentence for an image that was given as a video or sound file."""
    return f"{name} is an image ({form}); give {FILMS}."


def why_unopened(path: Path, error: BaseException) -> str:
    """The sentence for a file that FFmpeg does not open."""
    name, head = path.name, head_of(path)
    signed = signature_of_bytes(head)
    if signed is not None and signed.name == "WebP" and b"ANIM" in head:
        return f"{name} is an animated WebP, which is not supported; convert it to MP4 or GIF."
    if signed is not None and signed.kind == "image":
        return image_in_place_of_film(name, signed.name)
    if signed is not None and signed.name == "MP4 or QuickTime" and not _has_index(path):
        return (
            f"{name} is an unfinished recording: its index, which is written last, is missing, as when a recorder is "
            "cut off or a copy is not complete; copy it again, or have the program that recorded it repair it."
        )
    if signed is not None and signed.kind in ("other", "motion"):
        article = "an" if signed.name[0] in "AEIORM8" and signed.name != "RAR archive" else "a"
        return f"{name} is {article} {signed.name}; give {FILMS}."
    if head.count(0) == len(head):
        return f"{name} begins with zeros only, so its copy was not finished; copy or download it again."
    if text := _words(head):
        return f"{name} is {text}; give {FILMS}."
    form = f"a damaged {signed.name} file" if signed else "damaged, or in an unsupported format"
    return f"{name} is {form} ({short(error)}); convert it to MP4, or to WAV if it is only sound."


def _has_index(path: Path) -> bool:
    """Whether an MP4 or QuickTime file has a complete `moov` box, without which frames cannot be located."""
    size, at = path.stat().st_size, 0
    with path.open("rb") as file:
        for _ in range(MAX_BOXES):
            file.seek(at)
            head = file.read(16)
            if len(head) < 8:
                return False
            length = int.from_bytes(head[:4], "big")
            if length == 1:
                length = int.from_bytes(head[8:16], "big")
            if head[4:8] == b"moov":
                return at + length <= size
            if length < 8:  # to the end of the file, or broken
                return False
            at += length
    return False


def _words(head: bytes) -> str:
    """The kind of text that a file begins with, as words for a sentence; "" if it is not text."""
    try:
        text = head.decode("utf-8", "strict")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 4:
            return ""
        text = head[: error.start].decode("utf-8")
    if any(not char.isprintable() and char not in "\r\n\t\f\ufeff" for char in text):
        return ""
    start = text.lstrip("\ufeff \r\n\t").lower()
    if start.startswith(("<!doctype html", "<html")):
        return "a web page, not the file behind its link"
    return "a text file"
