"""Check that a store has the properties that claims rely on, before a worker uses it."""

import secrets
from concurrent.futures import ThreadPoolExecutor

from shared.errors import StudioError
from shared.jobs.store import Store

AT_ONCE = 4


def probe(store: Store) -> None:
    """Raise StudioError if a store cannot be written, or lets more than one writer create the same file."""
    folder = f"probe-{secrets.token_hex(6)}"
    try:
        # Two creations in sequence detect a store that ignores the condition; several at the same time detect one that
        # checks for the file and then writes it, which is not atomic.
        first, again = (store.create(f"{folder}/in-turn", mark) for mark in (b"first", b"again"))
        with ThreadPoolExecutor(AT_ONCE) as pool:
            made = list(pool.map(lambda n: store.create(f"{folder}/at-once", f"{n}".encode()), range(AT_ONCE)))
        kept = store.read(f"{folder}/in-turn")
        winner = store.read(f"{folder}/at-once")
        store.write(f"{folder}/in-turn", b"over")
        over = store.read(f"{folder}/in-turn")
    finally:
        store.remove(folder)
    exclusive = first and not again and kept == b"first" and made.count(True) == 1
    if not exclusive or winner != f"{made.index(True)}".encode() or over != b"over":
        raise StudioError(
            f"{store.url} cannot hold jobs: several writers can create the same file at the same time; "
            "use a folder, or an S3 store that supports If-None-Match."
        )
