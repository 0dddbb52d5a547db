"""Modules that answer in JSON from a process of their own."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from shared.runtime.module_process import ModuleError, run_json_module, stream_json_module

pytestmark = pytest.mark.apart

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
elif kind == "sleep":
    time.sleep(60)
elif kind == "lines":
    print('{"stage": 1}', flush=True)
    print("a library's line", flush=True)
    print('{"stage": 2}', flush=True)
    sys.exit(int(sys.argv[2]))
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module that a child process finds."""
    (tmp_path / "answers.py").write_text(ANSWERS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    return "answers"


def test_the_last_line_is_the_answer(module: str) -> None:
    words = asyncio.run(run_json_module(module, "echo", given=b"hello", timeout_s=30))
    assert words["given"] == "hello"
    assert words["nice"] >= 10, "it gives way to the program"


@pytest.mark.parametrize("kind", ["garbage", "list", "nothing"])
def test_what_is_no_json_object_is_an_error(module: str, kind: str) -> None:
    with pytest.raises(ModuleError):
        asyncio.run(run_json_module(module, kind, timeout_s=30))


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


def test_a_process_ends_with_the_one_that_asked(module: str, tmp_path: Path) -> None:
    code = (
        "import asyncio; from shared.runtime.module_process import run_json_module; "
        "asyncio.run(run_json_module('answers', 'sleep', timeout_s=60))"
    )
    with subprocess.Popen([sys.executable, "-c", code]) as asker:
        deadline = time.monotonic() + 30
        while not (found := children(asker.pid)) and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.2)  # the child has asked the kernel for its signal by then
        asker.send_signal(signal.SIGKILL)
        asker.wait()
        while any(Path(f"/proc/{pid}").exists() for pid in found) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert found and not any(Path(f"/proc/{pid}").exists() for pid in found)


def children(pid: int | None = None) -> list[str]:
    """Process ids of the children of a process."""
    pid = pid or os.getpid()
    return [each for task in Path(f"/proc/{pid}/task").iterdir() for each in (task / "children").read_text().split()]
