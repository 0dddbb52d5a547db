"""Log events have static snake_case names and carry facts as keys, so that they can be searched and counted."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = (
    "persona_studio", "cli", "benchmarks", "harness", "services", "training", "engines", "compositing", "publishing",
    "shared", "integrations",
)  # fmt: skip
LOGGERS = ("log", "_log", "logger", "_logger")
LEVELS = ("debug", "info", "warning", "error", "exception", "critical")
# Loguru, which Pipecat uses, shows only facts that the message contains: "name key={} key={}".
EVENT = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*( [a-z][a-z0-9_]*=\{\})*")


def log_calls(source: str) -> Iterator[ast.Call]:
    """Yield the calls that log, recognised by the names that loggers have in this project."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LEVELS:
            owner = node.func.value
            name = owner.id if isinstance(owner, ast.Name) else owner.attr if isinstance(owner, ast.Attribute) else ""
            if name in LOGGERS:
                yield node


def is_static(call: ast.Call) -> bool:
    """Return whether the event is a literal in snake_case."""
    event = call.args[0] if call.args else None
    return isinstance(event, ast.Constant) and isinstance(event.value, str) and bool(EVENT.fullmatch(event.value))


def test_log_events_are_static_names() -> None:
    calls = [
        (f"{path.relative_to(ROOT)}:{call.lineno}", call)
        for room in ROOMS
        for path in (ROOT / room).rglob("*.py")
        for call in log_calls(path.read_text(encoding="utf-8"))
    ]
    assert len(calls) > 50
    assert [place for place, call in calls if not is_static(call)] == []


@pytest.mark.parametrize(
    ("line", "static"),
    [
        ('log.warning("service_ended", code=1)', True),
        ('logger.info("session_opened", extra={"session": 1})', True),
        ('logger.info("session_opened session={}", session)', True),
        ('self._log.error("Service ended")', False),
        ('log.info(f"{name}_ended")', False),
        ("log.warning(str(error))", False),
        ('log.warning("ended" if code else "left")', False),
        ("log.exception()", False),
    ],
)
def test_an_event_that_is_none_is_found(line: str, static: bool) -> None:
    (call,) = log_calls(line)
    assert is_static(call) is static
