"""Recognises a file's format by its first bytes, whatever its name's suffix."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

HEAD_BYTES = 512
TS_PACKET_BYTES, TS_SYNC = 188, 0x47
_SUFFIX = re.compile(r"\.[a-z0-9]{1,5}")

SignedKind = Literal["image", "film", "sound", "motion", "other"]


@dataclass(frozen=True, slots=True)
class Signature:
    """A file format. name: its common name. kind: type of its content; a "film" may contain sound alone."""

    name: str
    kind: SignedKind


_BRANDS: dict[bytes, Signature] = {
    brand: Signature(name, "image")
    for name, brands in {
        "AVIF": (b"avif", b"avis"),
        "HEIC": (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"),
    }.items()
    for brand in brands
}
_HEIF = (b"mif1", b"msf1", b"mif2")  # major brands of the HEIF family; the compatible brands name the format
_AT_THE_START: tuple[tuple[bytes, Signature], ...] = (
    (b"\xff\xd8\xff", Signature("JPEG", "image")),
    (b"\x89PNG\r\n\x1a\n", Signature("PNG", "image")),
    (b"GIF87a", Signature("GIF", "image")),
    (b"GIF89a", Signature("GIF", "image")),
    (b"II*\0", Signature("TIFF", "image")),
    (b"MM\0*", Signature("TIFF", "image")),
    (b"\xff\x0a", Signature("JPEG XL", "image")),
    (b"\0\0\0\x0cJXL ", Signature("JPEG XL", "image")),
    (b"\0\0\0\x0cjP  ", Signature("JPEG 2000", "image")),
    (b"8BPS", Signature("Photoshop", "image")),
    (b"ID3", Signature("MP3", "sound")),
    (b"OggS", Signature("Ogg", "film")),
    (b"fLaC", Signature("FLAC", "sound")),
    (b"#!AMR", Signature("AMR", "sound")),
    (b"caff", Signature("CAF", "sound")),
    (b".snd", Signature("AU", "sound")),
    (b"\x0b\x77", Signature("AC-3", "sound")),
    (b"\x1a\x45\xdf\xa3", Signature("Matroska or WebM", "film")),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", Signature("WMV or WMA", "film")),
    (b"\x06\x0e\x2b\x34", Signature("MXF", "film")),
    (b"FLV\x01", Signature("FLV", "film")),
    (b"\0\0\x01\xba", Signature("MPEG", "film")),
    (b"\x93NUMPY", Signature("NumPy", "motion")),
    (b"%PDF", Signature("PDF", "other")),
    (b"#EXTM3U", Signature("playlist", "other")),
    (b"PK\x03\x04", Signature("ZIP archive", "other")),
    (b"\x1f\x8b", Signature("gzip archive", "other")),
    (b"Rar!", Signature("RAR archive", "other")),
    (b"7z\xbc\xaf\x27\x1c", Signature("7-Zip archive", "other")),
    (b"\x7fELF", Signature("program", "other")),
    (b"MZ", Signature("program", "other")),
    (b"{\\rtf", Signature("RTF document", "other")),
    (b"\xd0\xcf\x11\xe0", Signature("Office document", "other")),
)
_RIFF = {b"WAVE": Signature("WAV", "sound"), b"AVI ": Signature("AVI", "film"), b"WEBP": Signature("WebP", "image")}
_MP4_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"styp", b"pnot")


def signature_of_bytes(head: bytes) -> Signature | None:
    """Return the format of a file by its first bytes, None if unknown. head: at most HEAD_BYTES."""
    if head[:4] in (b"RIFF", b"RF64", b"BW64") and (named := _RIFF.get(head[8:12])):
        return named
    if head[4:8] in _MP4_BOXES:
        return _of_brands(head) or Signature("MP4 or QuickTime", "film")
    if head[:4] == b"PK\x03\x04" and b".npy" in head[30:300]:
        return Signature("NumPy archive", "motion")
    if len(head) > 2 * TS_PACKET_BYTES and head[0] == head[TS_PACKET_BYTES] == head[2 * TS_PACKET_BYTES] == TS_SYNC:
        return Signature("MPEG transport stream", "film")
    if head[:2] == b"BM" and len(head) > 14 and head[6:10] == b"\0\0\0\0":
        return Signature("BMP", "image")
    return next((signed for start, signed in _AT_THE_START if head.startswith(start)), None)


def _of_brands(head: bytes) -> Signature | None:
    if head[4:8] != b"ftyp":
        return None
    if (named := _BRANDS.get(head[8:12])) or head[8:12] not in _HEIF:
        return named
    end = min(len(head), int.from_bytes(head[:4], "big"))
    others = [head[at : at + 4] for at in range(16, end, 4)]
    return next((_BRANDS[each] for each in others if each in _BRANDS), Signature("HEIC", "image"))


def head_of(path: Path) -> bytes:
    """Return a file's first HEAD_BYTES, b"" if it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(HEAD_BYTES)
    except OSError:
        return b""


def signature_of(path: Path) -> Signature | None:
    """Return the format of a file by its first bytes, None if unknown or unreadable."""
    return signature_of_bytes(head_of(path))


def kept_suffix(path: Path) -> str:
    """Suffix for the name of a copy: the file's own, where that is short and plain, else ""."""
    suffix = path.suffix.lower()
    return suffix if _SUFFIX.fullmatch(suffix) else ""


def is_still_image(path: Path) -> bool:
    """Whether a file's content is an image of one frame; an animated GIF or PNG counts as a film."""
    signed = signature_of(path)
    if signed is None or signed.kind != "image":
        return False
    return signed.name not in ("GIF", "PNG") or not _is_animated(path, signed.name)


def _is_animated(path: Path, name: str) -> bool:
    from PIL import Image

    try:
        with Image.open(path, formats=(name,)) as image:
            return bool(getattr(image, "is_animated", False))
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError):
        return False  # reading the image later reports the reason
