"""Cache of converted checkpoints: results of slow reading, merging or folding, stored as safetensors to load fast."""

import hashlib
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from shared.config.cache_dir import cache_folder
from shared.errors import StudioError
from shared.runtime.logs import get_logger
from shared.weights.checkpoint import StateDict, load_state
from shared.weights.probe import damage

HASHED_END_BYTES = 1 << 20  # bytes hashed at each end of a file
log = get_logger()


def converted(name: str, files: Sequence[Path], make: Callable[[], StateDict], version: int = 1) -> StateDict:
    """Return the result of `make` for these files, from the cache if they have not changed since.

    name: engine, network and dtype, in characters that are valid in a file name. version: change it whenever `make`
    changes. A file counts as unchanged if its size, its modification time and a hash of its first and last megabyte are
    the same; hashing gigabytes at each start would take the time that the cache saves. If the cache cannot be written,
    the result is still returned. Raises StudioError if a file cannot be read, and everything that `make` raises.
    """
    folder = cache_folder() / "weights"
    kept = folder / f"{name}-{_key(files, version)}.safetensors"
    if kept.is_file() and not damage(kept):
        try:
            return load_state(kept)
        except StudioError:
            pass  # damage that `damage` did not detect: convert the files again
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
    """Whether the process that writes a partial file still runs; files of killed processes are removed."""
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, ValueError):
        return False
    except PermissionError:
        return True
    return True


def _storable(state: StateDict) -> StateDict:
    """Return the same tensors, each in its own memory.

    safetensors cannot store tensors that share memory or are views of larger ones.
    """
    own, taken = {}, set()
    for name, each in state.items():
        each = each.detach().cpu()
        memory = each.untyped_storage()
        alone = each.is_contiguous() and memory.nbytes() == each.nbytes and memory.data_ptr() not in taken
        taken.add(memory.data_ptr())
        own[name] = each if alone else each.contiguous().clone()
    return own
