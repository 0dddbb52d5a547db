"""A real browser for the tests that look at pages."""

import base64
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.channel import PATIENCE_S

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

CHROMIUM = next((path for name in ("chromium", "google-chrome") if (path := shutil.which(name))), None)
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no chromium or google-chrome on this machine")
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
]  # fmt: skip
LOOK_S = 0.05  # between two checks of a page
DROP = """([base64, name]) => {
    const data = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
    const carried = new DataTransfer();
    carried.items.add(new File([data], name, { type: "audio/wav" }));
    for (const kind of ["dragenter", "dragover", "drop"])
        document.body.dispatchEvent(new DragEvent(kind, { dataTransfer: carried, bubbles: true, cancelable: true }));
}"""


@contextmanager
def launched(microphone: Path | None = None) -> "Iterator[Browser]":
    """Run the browser, without a window.

    While it runs, this thread has a running event loop, so that asyncio.run fails in it.
    microphone: a WAV file that is played once whenever a page opens the microphone, in place of a beep.
    """
    heard = [f"--use-file-for-fake-audio-capture={microphone}%noloop"] if microphone else []
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*ARGUMENTS, *heard])
        _make_patient(browser)
        sync_api.expect.set_options(timeout=1000 * PATIENCE_S)
        yield browser
        browser.close()


def _make_patient(browser: "Browser") -> None:
    """Make every page of the browser wait as long as these tests do; Playwright has no such setting for all pages."""
    new_context, new_page = browser.new_context, browser.new_page

    def patient_context(**options: Any) -> "BrowserContext":
        context = new_context(**options)
        context.set_default_timeout(1000 * PATIENCE_S)
        return context

    def patient_page(**options: Any) -> "Page":
        page = new_page(**options)
        page.set_default_timeout(1000 * PATIENCE_S)
        return page

    browser.new_context = patient_context  # type: ignore[method-assign]
    browser.new_page = patient_page  # type: ignore[method-assign]


def drop_file(page: "Page", data: bytes, name: str) -> None:
    """Drop a sound file on the page as a person would.

    The data is passed as base64, because Playwright checks a list number by number in Python.
    """
    page.evaluate(DROP, [base64.b64encode(data).decode(), name])


def until(page: "Page", expression: str) -> None:
    """Wait until a JavaScript expression is true in the page.

    Playwright's own wait evaluates strings inside the page, which the page's policy forbids.
    """
    for _ in range(round(PATIENCE_S / LOOK_S)):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(1000 * LOOK_S)
    raise AssertionError(f"never {expression}")
