"""Check of a setting that holds the address of a server with one of OpenAI's APIs."""

from urllib.parse import urlsplit


def checked_server_url(value: str, *paths: str) -> str:
    """Return a server's address without a slash or any of `paths` at its end. Raises ValueError."""
    parts = urlsplit(value)
    if value and (parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.password):
        raise ValueError("it must be an address like https://api.openai.com/v1, without a password")
    value = value.rstrip("/")
    for path in paths:
        value = value.removesuffix(path)
    return value.rstrip("/")
