"""The request as the browser sent it: host, scheme and path prefix, which a proxy in front may have changed.

`X-Forwarded-Host`, `-Port`, `-Proto` and `-Prefix` are used only if the peer is one of `trusted_proxies`. Anyone can
send these headers, so those of other peers are ignored. Of several values the last counts, because the nearest proxy
wrote it.
"""

from dataclasses import dataclass
from functools import cached_property
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import Scope

from shared.config.proxy import path_prefix, proxy_network
from shared.config.settings import Settings
from shared.runtime.shown_text import one_line

HOST, PORT, PROTO, PREFIX = (f"x-forwarded-{name}" for name in ("host", "port", "proto", "prefix"))
DEFAULT_PORTS = {"http": ":80", "https": ":443"}
LONGEST_SHOWN = 100  # characters of a header's value in an error sentence
FOREIGN_PAGE = "Another site's page may not control the studio; open its own page."


class ForwardedError(Exception):
    """Raised when a trusted proxy's header has an impossible value; the message is a sentence for users."""


@dataclass(frozen=True)
class Front:
    """A request as the browser sent it.

    path: without the prefix. prefix: "" or a path such as /studio. lacks_slash: the requested path is the prefix
    without a slash. host: the browser's Host, port included. scheme: http or https from a trusted proxy, else "".
    origin: the Origin header, None without one. hosts: (header, value) of each header whose host must be one of the
    studio's names. ignored: the first forwarded header of a peer that is not trusted, "" for none. peer: address of the
    peer.
    """

    path: str
    prefix: str
    lacks_slash: bool
    host: str
    scheme: str
    origin: str | None
    hosts: tuple[tuple[str, str], ...]
    ignored: str
    peer: str

    @cached_property
    def same_origin(self) -> bool:
        """Whether the request comes from the studio's page, or from no page; for the latter only the token counts."""
        if self.origin is None:
            return True
        try:
            parts = urlsplit(self.origin)
        except ValueError:
            return False
        if parts.scheme not in DEFAULT_PORTS or (self.scheme and self.scheme != parts.scheme):
            return False
        port = DEFAULT_PORTS[parts.scheme]
        return parts.netloc.lower().removesuffix(port) == self.host.lower().removesuffix(port)

    def foreign_host(self, header: str, value: str) -> str:
        """Return the sentence that refuses a request because `header` names a host that is not the studio's."""
        if not value:
            return "The request has no Host; a proxy in front has to pass on the browser's."
        hint = "add it to allowed_hosts" + (", or use 127.0.0.1" if header == "Host" else "")
        return f"{header} is '{_shown(value)}', which is not a name of the studio; {hint}."

    def foreign_origin(self) -> str:
        """Return the sentence that refuses a request from another site's page.

        If a proxy may have caused the mismatch, the sentence says how to configure it.
        """
        origin = self.origin or ""
        if not origin.startswith(("http://", "https://")):
            return FOREIGN_PAGE
        if self.ignored:
            return (
                f"The page is at {_shown(origin)} and Host is '{_shown(self.host)}'; {self.ignored} came from "
                f"{self.peer}, which is not in trusted_proxies: if that is your proxy, add it, or have it pass on the "
                "browser's Host."
            )
        if self.scheme and not origin.startswith(f"{self.scheme}://"):
            return (
                f"The page is at {_shown(origin)} and X-Forwarded-Proto is '{self.scheme}': have the proxy set what "
                "the browser uses."
            )
        header = "X-Forwarded-Host" if len(self.hosts) > 1 else "Host"
        return (
            f"The page is at {_shown(origin)} and {header} is '{_shown(self.host)}': another site's page may not "
            f"control the studio; if a proxy in front changed it, have it pass on the browser's {header}, port "
            "included."
        )

    def seen(self, scope: Scope) -> Scope:
        """Return the ASGI scope with the browser's host, scheme and path, for routes, redirects and the schema."""
        headers = [(name, value) for name, value in scope["headers"] if name != b"host"]
        seen: dict[str, Any] = {**scope, "headers": [*headers, (b"host", self.host.encode("latin-1"))]}
        if self.scheme:
            seen["scheme"] = self.scheme.replace("http", "ws") if scope["type"] == "websocket" else self.scheme
        return seen | {"root_path": self.prefix, "path": self.prefix + self.path}


class ProxiesInFront:
    """Reconstructs requests as the browser sent them, according to `trusted_proxies` and `path_prefix`."""

    def __init__(self, settings: Settings) -> None:
        self._trusted = [proxy_network(each) for each in settings.trusted_proxies]
        self._prefix = settings.path_prefix

    def front(self, scope: Scope, headers: Headers) -> Front:
        """Return the request as the browser sent it. Raises ForwardedError."""
        peer = scope["client"][0] if scope.get("client") else ""
        given = {name: value for name in (HOST, PORT, PROTO, PREFIX) if (value := _last(headers, name))}
        trusted = bool(given) and self._trusts(peer)
        ignored = "" if trusted else next((name.title() for name in given), "")
        if not trusted:
            given = {}
        direct = headers.get("host", "")
        hosts = [("Host", direct)]
        if HOST in given:
            hosts.append(("X-Forwarded-Host", given[HOST]))
        prefix, path, lacks_slash = self._split(given.get(PREFIX), scope["path"])
        return Front(
            path=path, prefix=prefix, lacks_slash=lacks_slash, host=_with_port(hosts[-1][1], given.get(PORT)),
            scheme=_scheme(given.get(PROTO)), origin=headers.get("origin"), hosts=tuple(hosts), ignored=ignored,
            peer=peer,
        )  # fmt: skip

    def _trusts(self, peer: str) -> bool:
        try:
            address = ip_address(peer.partition("%")[0])
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None)
        return any((mapped or address) in network for network in self._trusted)

    def _split(self, given: str | None, path: str) -> tuple[str, str, bool]:
        """Return the prefix, the path below it, and whether the path was the prefix without a slash.

        Some proxies remove the prefix from the path and some keep it, so both forms are accepted.
        """
        try:
            prefix = self._prefix if given is None else path_prefix(given)
        except ValueError as error:
            raise ForwardedError(f"X-Forwarded-Prefix is '{_shown(given or '')}': {error}.") from None
        if prefix and path == prefix:
            return prefix, "/", True
        return prefix, path.removeprefix(prefix) if path.startswith(f"{prefix}/") else path, False


def _last(headers: Headers, name: str) -> str:
    """Return the last of a header's values, which the nearest proxy wrote; "" if there is none."""
    return ",".join(headers.getlist(name)).rpartition(",")[2].strip()


def _with_port(host: str, port: str | None) -> str:
    """Append a separately sent port to a host that has none; ignore an invalid port."""
    alone = not host.rpartition("]")[2].count(":")
    return f"{host}:{port}" if port and alone and port.isascii() and port.isdecimal() and len(port) < 6 else host


def _scheme(given: str | None) -> str:
    if given is None:
        return ""
    scheme = {"wss": "https", "ws": "http"}.get(given.lower(), given.lower())
    if scheme not in DEFAULT_PORTS:
        raise ForwardedError(f"X-Forwarded-Proto is '{_shown(given)}'; have the proxy set http or https.")
    return scheme


def _shown(value: str) -> str:
    return one_line(value, LONGEST_SHOWN)
