"""Checkpoints made ready once: what takes long to read, merge or fold is kept as safetensors and loaded in a moment."""

import hashlib
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import structlog

from shared.config.cache_dir import cache_folder
from shared.errors import StudioError
from shared.weights.checkpoint import StateDict, load_state
from shared.weights.probe import damage

HASHED_END_BYTES = 1 << 20  # bytes hashed at either end of a file
log = structlog.get_logger()


def converted(name: str, files: Sequence[Path], make: Callable[[], StateDict], version: int = 1) -> StateDict:
    """What `make` returns for these files, from the cache where it is there and the files are the same.

    name: engine, network and dtype, in a file name's letters. version: changes when `make` does. A file counts as the
    same by size, modification time and a hash of its first and last megabyte: reading gigabytes at each start would
    cost what the cache saves. A cache that cannot be written only costs the time. Raises StudioError when a file cannot
    be read, and what `make` raises.
    """
    folder = cache_folder() / "weights"
    kept = folder / f"{name}-{_key(files, version)}.safetensors"
    if kept.is_file() and not damage(kept):
        try:
            return load_state(kept)
        except StudioError:
            pass  # damaged in a way that its ends do not show: made again
    state = make()
    _keep(state, kept, name)
    return state


def _key(files: Sequence[Path], version: int) -> str:
    digest = hashlib.sha256(str(version).encode())
    for path in files:
        try:
            about = path.stat()
            with path.open("rb") as file:
                head = file.read(HASHED_END_BYTES)
                file.seek(max(about.st_size - HASHED_END_BYTES, 0))
                tail = file.read(HASHED_END_BYTES)
        except OSError as error:
            raise StudioError(f"{path} cannot be read ({error.strerror}); see `studio weights list`.") from None
        digest.update(f"{path.name} {about.st_size} {about.st_mtime_ns}".encode())
        digest.update(hashlib.sha256(head).digest() + hashlib.sha256(tail).digest())
    return digest.hexdigest()[:16]


def _keep(state: StateDict, kept: Path, name: str) -> None:
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    part = kept.with_name(f".{kept.name}.{os.getpid()}")
    try:
        kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        for left in kept.parent.glob(f".{name}-*.safetensors.*"):
            if not _alive(left.suffix[1:]):
                left.unlink(missing_ok=True)
        save_file(_storable(state), part)
        part.rename(kept)
        for old in kept.parent.glob(f"{name}-*.safetensors"):
            if old != kept and len(old.stem) == len(kept.stem):
                old.unlink()
    except (OSError, SafetensorError) as error:
        log.warning("weights_not_cached", file=str(kept), why=str(error))
        with suppress(OSError):
            part.unlink()


def _alive(pid: str) -> bool:
    """Whether the process that writes a part is there; gigabytes of one that was killed would stay there."""
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, ValueError):
        return False
    except PermissionError:
        return True
    return True


def _storable(state: StateDict) -> StateDict:
    """The same tensors, each in memory of its own.

    What shares some, or is a view into more, cannot be stored as it is.
    """
    own, taken = {}, set()
    for name, each in state.items():
        each = each.detach().cpu()
        memory = each.untyped_storage()
        alone = each.is_contiguous() and memory.nbytes() == each.nbytes and memory.data_ptr() not in taken
        taken.add(memory.data_ptr())
        own[name] = each if alone else each.contiguous().clone()
    return own
