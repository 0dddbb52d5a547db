"""Modules that run in a process of their own and answer in JSON."""

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from harness.channel import wait_for
from shared.runtime import module_process
from shared.runtime.module_process import ModuleError, run_json_module, stream_json_module

pytestmark = pytest.mark.apart

PATIENCE_S = 300.0

ANSWERS = """
import json, os, sys, time
kind = sys.argv[1]
if kind == "echo":
    print("a library's line")
    print(json.dumps({"given": sys.stdin.read(), "nice": os.nice(0)}))
elif kind == "garbage":
    print("no JSON")
elif kind == "list":
    print("[1]")
elif kind == "empty list":
    print("[]")
elif kind == "flood":
    print(" " * int(sys.argv[2]) + '{"a": 1}')
elif kind == "fails":
    print('{"a": 1}', flush=True)
    print("a library's complaint", file=sys.stderr, flush=True)
    sys.exit(3)
elif kind == "sleep":
    time.sleep(60)
elif kind == "lines":
    print('{"stage": 1}', flush=True)
    print("a library's line", flush=True)
    print('{"stage": 2}', flush=True)
    sys.exit(int(sys.argv[2]))
elif kind == "chatty":
    print('{"stage": 1}', flush=True)
    print("a library's line\\n" * 1_000_000, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Name of a module that a child process can import."""
    (tmp_path / "answers.py").write_text(ANSWERS, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    return "answers"


def test_the_last_line_is_the_answer(module: str) -> None:
    words = asyncio.run(run_json_module(module, "echo", given=b"hello", timeout_s=PATIENCE_S))
    assert words["given"] == "hello"
    assert words["nice"] >= 10, "it gives way to the program"


@pytest.mark.parametrize("kind", ["garbage", "list", "empty list", "nothing"])
def test_what_is_no_json_object_is_an_error(module: str, kind: str) -> None:
    with pytest.raises(ModuleError):
        asyncio.run(run_json_module(module, kind, timeout_s=PATIENCE_S))


def test_output_is_limited(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module_process, "MAX_OUTPUT_BYTES", 100_000)
    assert asyncio.run(run_json_module(module, "flood", "90000", timeout_s=PATIENCE_S)) == {"a": 1}
    before = children()
    with pytest.raises(ModuleError):
        asyncio.run(run_json_module(module, "flood", "200000", timeout_s=PATIENCE_S))
    assert children() == before


def test_input_that_is_not_read_is_no_error(module: str) -> None:
    given = b"x" * (4 << 20)  # more than a pipe holds
    assert asyncio.run(run_json_module(module, "flood", "1", given=given, timeout_s=PATIENCE_S)) == {"a": 1}


def test_the_exit_code_counts_where_asked(module: str) -> None:
    assert asyncio.run(run_json_module(module, "fails", timeout_s=PATIENCE_S)) == {"a": 1}
    with pytest.raises(ModuleError):
        asyncio.run(run_json_module(module, "fails", timeout_s=PATIENCE_S, must_succeed=True))


@pytest.mark.parametrize("quiet", [False, True])
def test_standard_error_is_dropped_where_asked(module: str, quiet: bool, capfd: pytest.CaptureFixture[str]) -> None:
    asyncio.run(run_json_module(module, "fails", timeout_s=PATIENCE_S, quiet=quiet))
    assert ("a library's complaint" in capfd.readouterr().err) is not quiet


def test_a_process_that_takes_too_long_is_killed(module: str) -> None:
    before = children()
    with pytest.raises(ModuleError):
        asyncio.run(run_json_module(module, "sleep", timeout_s=0.5))
    assert children() == before


def test_lines_come_as_they_are_printed_and_the_exit_code_counts(module: str) -> None:
    async def read(code: int, into: list[dict[str, Any]]) -> None:
        async for words in stream_json_module(module, "lines", str(code)):
            into.append(words)

    good: list[dict[str, Any]] = []
    asyncio.run(read(0, good))
    assert good == [{"stage": 1}, {"stage": 2}]
    bad: list[dict[str, Any]] = []
    with pytest.raises(ModuleError):
        asyncio.run(read(3, bad))
    assert bad == good


def test_a_process_ends_when_its_lines_are_no_longer_wanted(module: str) -> None:
    async def read_one() -> dict[str, Any]:
        lines = stream_json_module(module, "chatty")
        async with aclosing(lines):
            first = await anext(lines)
            await asyncio.sleep(0.5)  # the pipe and the reader's buffer are full by then
        return first

    before = children()
    assert asyncio.run(read_one()) == {"stage": 1}
    assert children() == before


def test_a_line_that_is_too_long_is_an_error(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def read() -> list[dict[str, Any]]:
        return [words async for words in stream_json_module(module, "flood", str(200_000))]

    assert asyncio.run(read()) == [{"a": 1}]
    monkeypatch.setattr(module_process, "MAX_LINE_BYTES", 10_000)
    with pytest.raises(ModuleError):
        asyncio.run(read())


def test_a_process_ends_with_the_one_that_asked(module: str, tmp_path: Path) -> None:
    code = (
        "import asyncio; from shared.runtime.module_process import run_json_module; "
        "asyncio.run(run_json_module('answers', 'sleep', timeout_s=60))"
    )
    with subprocess.Popen([sys.executable, "-c", code]) as asker:
        found: list[str] = wait_for(lambda: children(asker.pid))
        asker.send_signal(signal.SIGKILL)
        asker.wait()
        wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in found))


def children(pid: int | None = None) -> list[str]:
    """Return the ids of a process's children; a thread that ends meanwhile has none."""
    found: list[str] = []
    for task in Path(f"/proc/{pid or os.getpid()}/task").iterdir():
        try:
            found += (task / "children").read_text(encoding="utf-8").split()
        except (FileNotFoundError, ProcessLookupError):
            pass
    return found
