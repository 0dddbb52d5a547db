"""Quick check of whether a file can be a checkpoint, by its first and last bytes, without torch and without loading."""

import json
import struct
import zipfile
from pathlib import Path

LFS = b"version https://git-lfs"
TENSORS = (".pth", ".pt", ".bin", ".pkl", ".ckpt")  # suffixes of files by torch.save
MAX_HEADER_BYTES = 100 << 20  # limit of the safetensors library


def damage(path: Path, suffix: str = "") -> str:
    """Return the fault of a file as the second half of a sentence ("is truncated"), "" if none is found.

    suffix: suffix of the file's final name, if that differs.

    Detects a truncated archive, a Git LFS pointer, a web page saved under a checkpoint's name, and a header that
    announces more data than the file has. Flipped bits in the middle can only be detected by a hash. Raises OSError.
    """
    size, suffix = path.stat().st_size, suffix or path.suffix
    with path.open("rb") as file:
        head = file.read(512)
    if not head:
        return "is empty"
    if head.startswith(LFS):
        return "is a Git LFS pointer of a few lines and not the weights themselves (`git lfs pull` was not run)"
    if suffix == ".safetensors":
        return _damaged_safetensors(path, size)
    if suffix in TENSORS:
        return _damaged_torch(path, size, head)
    if suffix == ".json":
        return _damaged_json(path, size)
    return ""


def _damaged_safetensors(path: Path, size: int) -> str:
    if size < 8:
        return "is truncated"
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        if length > MAX_HEADER_BYTES:
            return "is not safetensors: its header states an impossible size"
        if 8 + length > size:
            return "is truncated"
        try:
            header = json.loads(file.read(length))
            ends = [int(row["data_offsets"][1]) for name, row in header.items() if name != "__metadata__"]
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
            return "is not safetensors: its header cannot be read"
    return "is truncated" if 8 + length + max(ends, default=0) > size else ""


def _damaged_torch(path: Path, size: int, head: bytes) -> str:
    if head.startswith(b"PK\x03\x04"):
        try:
            with zipfile.ZipFile(path) as archive:
                entries = archive.infolist()
        except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error):
            return "is truncated"
        # torch never compresses entries: one that is larger than the file is an attack on memory
        if any(e.compress_type != zipfile.ZIP_STORED or e.file_size > size for e in entries):
            return "is not a PyTorch file: its content is compressed, or larger than the file"
        return ""
    if head.startswith(b"\x80"):
        return ""  # torch before 1.6 wrote a bare pickle, which states no length to check
    if head.lstrip()[:1] in (b"<", b"{") or head[:256].isascii():
        return "is text and not weights (a web page or an error message was saved under this name)"
    return "is not a file written by torch"


def _damaged_json(path: Path, size: int) -> str:
    if size > 1 << 20:
        return "is far too large for a configuration"
    try:
        json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return "is not JSON"
    return ""
