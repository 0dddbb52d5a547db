"""Every request that the documentation shows is a route of the API."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.gateway.api.app import make_gateway_app
from shared.config.settings import load_settings

pytestmark = pytest.mark.unit

DOCS = Path(__file__).parents[2] / "docs"
REQUEST = re.compile(r"`(GET|POST|PUT|PATCH|DELETE) ((?:\.\.\.|/api/v1)/[^`?\s]*)")
CURL = re.compile(r"^ *curl\b.*$", re.MULTILINE)
ADDRESS = re.compile(r"(?:\$URL|http://127\.0\.0\.1:8750)(/api/v1/[^\s\"?]*)")
METHOD = re.compile(r"-X ([A-Z]+)")
BODY = re.compile(r" -[Fd] ")


def requests(text: str) -> Iterator[tuple[str, str]]:
    """Yield the method and path of each request on a page, in prose and in curl commands."""
    yield from REQUEST.findall(text)
    for line in CURL.findall(text.replace("\\\n", " ")):
        method = METHOD.search(line)
        for address in ADDRESS.findall(line):
            yield method[1] if method else "POST" if BODY.search(line) else "GET", address


@pytest.fixture(scope="module")
def routes(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, re.Pattern[str]]]:
    """Method, and pattern of the path, of each route; no gateway is started."""
    home = tmp_path_factory.mktemp("home")
    paths = make_gateway_app(load_settings(home=home, run_root=home), lambda: None).openapi()["paths"]
    found = [(method.upper(), re.sub(r"\{[^}]+\}", "[^/]+", path)) for path, item in paths.items() for method in item]
    return [(method, re.compile(pattern)) for method, pattern in found]


def test_every_request_in_the_documentation_is_a_route(routes: list[tuple[str, re.Pattern[str]]]) -> None:
    shown = {
        (page.name, method, path)
        for page in DOCS.rglob("*.md")
        for method, path in requests(page.read_text(encoding="utf-8"))
    }
    assert len(shown) > 40
    assert sorted(each for each in shown if not _exists(routes, each[1], each[2])) == []


def _exists(routes: list[tuple[str, re.Pattern[str]]], method: str, path: str) -> bool:
    """Return whether the route exists; "..." stands for the path of a channel or of a recording."""
    if not path.startswith("..."):
        return any(each == method and pattern.fullmatch(path) for each, pattern in routes)
    beginnings = ("/api/v1/channels/main", "/api/v1/recordings/ID")
    return any(_exists(routes, method, path.replace("...", begin, 1)) for begin in beginnings)
