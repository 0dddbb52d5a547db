"""Checks of the settings for reverse proxies and embedding: proxy addresses, path prefix, embedding origins, hosts."""

import re
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

OWN_PATHS = ("api", "v1", "web", "watch", "metrics")  # the studio's own paths, which no prefix may use
LONGEST_PREFIX = 200  # characters
_PREFIX = re.compile(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*")  # no empty segment, none that begins with a dot
_ANCESTOR = re.compile(r"https?://(\*\.)?[a-z0-9.-]+(:[0-9]{1,5}|:\*)?|https?://\[[0-9a-f:]+\](:[0-9]{1,5})?")
_HEADER = re.compile(r"[A-Za-z0-9._:\[\]-]+")
_NAME = re.compile(r"[a-z0-9_]([a-z0-9._-]{0,251}[a-z0-9_])?")


def proxy_network(value: str) -> IPv4Network | IPv6Network:
    """Return the network for an address such as 127.0.0.1 or a network such as 10.0.0.0/8. Raises ValueError."""
    try:
        network = ip_network(value.strip())
    except ValueError:
        raise ValueError("give the proxy's address, such as 127.0.0.1, or its network, such as 10.0.0.0/8") from None
    if network.prefixlen == 0:
        raise ValueError(
            "this matches every address, so anyone's headers would be trusted; give the proxy's own address"
        )
    return network


def path_prefix(value: str) -> str:
    """A path such as /studio without a slash at its end, "" for none. Raises ValueError."""
    prefix = value.strip().rstrip("/")
    if len(prefix) > LONGEST_PREFIX or not _PREFIX.fullmatch(prefix):
        raise ValueError("give a path such as /studio, of letters, digits and - . _ ~")
    first = prefix[1:].split("/")[0]
    if first in OWN_PATHS:
        raise ValueError(f"the studio has its own paths below /{first}; choose another prefix")
    return prefix


def frame_ancestor(value: str) -> str:
    """Return an origin whose pages may embed the studio's, in a content security policy's form. Raises ValueError."""
    origin = value.strip().lower().rstrip("/")
    if origin in ("self", "'self'"):
        return "'self'"
    if not _ANCESTOR.fullmatch(origin):
        raise ValueError("give an origin such as https://www.example.com, without a path, or self")
    return origin


def host_name(value: str) -> str:
    """Return a host in the form that DNS compares, from a name or address without port or path. Raises ValueError."""
    name = canonical_host(value)
    try:
        return str(ip_address(name.strip("[]")))
    except ValueError:
        pass
    try:
        ascii_name = name.encode("idna").decode()
    except UnicodeError:
        ascii_name = ""
    if not _NAME.fullmatch(ascii_name):
        raise ValueError("give a host's name alone, such as studio.example.com, without scheme, port and path")
    return ascii_name


def canonical_host(name: str) -> str:
    """Return a host's name in the form that DNS compares: in lower case and without a dot at its end."""
    return name.strip().lower().rstrip(".")


def host_of(value: str) -> str:
    """The host's name in a Host header, "" where it has none or holds more than a name and a port."""
    if not _HEADER.fullmatch(value):
        return ""
    try:
        parts = urlsplit("//" + value)
        name, _ = parts.hostname or "", parts.port  # reading a port that is not a number raises ValueError
        return canonical_host(name)
    except ValueError:
        return ""
