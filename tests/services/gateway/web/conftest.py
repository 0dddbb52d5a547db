"""One browser for the tests of all pages."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.support.browser.chromium import launched

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="package")
def browser() -> Iterator["Browser"]:
    """Chromium, shared by all tests of the pages."""
    with launched() as browser:
        yield browser
