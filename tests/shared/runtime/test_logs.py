"""Log lines: one per event, whatever the event says, and no line that ends the process."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.apart

SAYS = """import sys, structlog
from shared.runtime.logs import set_up_logs
set_up_logs('test', 'info')
log = structlog.get_logger()
"""


def lines(code: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", SAYS + code], capture_output=True, text=True, encoding="utf-8", check=True
    )
    return done.stderr.splitlines()


@pytest.mark.parametrize(
    "text", ["a\n12:00:00 [error] forged", "a\rb", "\x1b[2J", "a\u2028b", "\ud800", "\x00", "\u202egnp"]
)
def test_what_an_event_says_stays_on_its_line(text: str) -> None:
    said = lines(f"log.warning('title', title={text!r}); log.warning({text!r}); log.warning('last')")
    assert len(said) == 3 and "last" in said[2], said
    assert all(char.isprintable() for line in said for char in line), said


def test_a_traceback_prints_no_local_variables() -> None:
    said = lines(
        "secret = 'hun' + 'ter2'\ntry:\n    raise ValueError('bad')\nexcept ValueError:\n    log.exception('failed')"
    )
    assert any("ValueError: bad" in line for line in said) and not any("hunter2" in line for line in said)


def test_a_log_that_cannot_be_written_ends_nothing() -> None:
    code = "sys.stderr.close()\nlog.warning('lost')\nprint('on')"
    done = subprocess.run(
        [sys.executable, "-c", SAYS + code], capture_output=True, text=True, encoding="utf-8", check=True
    )
    assert done.stdout == "on\n"
    full = "import os\nos.dup2(os.open('/dev/full', os.O_WRONLY), 2)\nlog.warning('lost')\nprint('on')"
    done = subprocess.run(
        [sys.executable, "-c", SAYS + full], capture_output=True, text=True, encoding="utf-8", check=False
    )
    assert done.stdout == "on\n"
