"""The operator's token: created once and stored in the studio's home, where only its owner can read it."""

import secrets
from pathlib import Path

from shared.errors import StudioError
from shared.runtime.files import write_atomically
from shared.runtime.private_files import close_to_others


def make_private(home: Path) -> None:
    """Create the studio's home or close an existing one to other users, whatever the umask is. Raises OSError."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    close_to_others(home)


def operator_token(home: Path) -> str:
    """Return the token of this home, which is created if missing. Raises StudioError if the home cannot be used."""
    path = home / "token"
    try:
        make_private(home)
        if not path.exists():
            write_atomically(path, secrets.token_urlsafe(32).encode())
        token = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise StudioError(
            f"The studio's home {home} cannot be used ({error.strerror}); set another with STUDIO_HOME."
        ) from None
    if len(token) < 32:
        raise StudioError(f"{path} is damaged; delete it and start again.")
    return token
