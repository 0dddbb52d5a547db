"""`--option key=value` and its short form, as users type them."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from cli import app
from cli.options import given_options
from harness.channel import wait_for
from services.local.samples import sample_driver
from shared.config.settings import load_settings
from shared.errors import StudioError
from tests.support.engines import job_engines, slow_engines
from tests.support.files.media_material import decoded

ROOT = Path(__file__).parents[2]
CommandRun = Callable[..., str]


@pytest.fixture
def run(live_home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandRun:
    """Run a `studio` command in this process that must be refused; return its error."""

    def ended(*arguments: str) -> str:
        monkeypatch.setenv("STUDIO_ENGINES", json.dumps(job_engines.ENGINES))
        monkeypatch.setattr(sys, "argv", ["studio", *arguments, "--home", str(live_home)])
        with pytest.raises(SystemExit) as refused:
            app.main()
        assert refused.value.code == 1
        return " ".join(capsys.readouterr().err.split())

    return ended


def test_each_is_a_name_with_a_value_and_quality_has_a_short_form() -> None:
    assert given_options(["blue=3", "prompt=a=b", "text="], "pale") == {
        "quality": "pale", "blue": "3", "prompt": "a=b", "text": "",
    }  # fmt: skip
    assert given_options(None) == {}
    for word in ("blue", "=3", ""):
        with pytest.raises(StudioError, match=r"KEY=VALUE, such as quality=384 \(got '"):
            given_options([word])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--option", "blue=much"], "Option 'blue' of Dyed card: Input should be a valid integer"),
        (["--option", "bleu=3"], "Dyed card has no option 'bleu'; it has blue, quality."),
        (["--quality", "loud"], "Input should be 'deep' or 'pale' (got 'loud')"),
        (["--option", "blue"], "--option takes KEY=VALUE"),
    ],
)
@pytest.mark.parametrize("command", [["render", "--out", "x.mp4"], ["jobs", "submit"]])
def test_a_wrong_one_is_one_sentence_and_nothing_is_begun(
    run: CommandRun, live_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str],
    options: list[str], said: str
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert said in run(*command, "--engine", "dyed", "--driver", str(sample_driver(live_home)), *options)
    assert list(tmp_path.iterdir()) == [] and not (live_home / "jobs").exists()


def live(home: Path, run_root: Path, *options: str) -> "subprocess.Popen[str]":
    """Start `studio live` in a process of its own."""
    plain = {key: value for key, value in os.environ.items() if not key.startswith("STUDIO_")}
    added = {"STUDIO_ENGINES": json.dumps(slow_engines.ENGINES), "STUDIO_RUN_ROOT": str(run_root), "COLUMNS": "200"}
    command = [sys.executable, "-m", "cli.app", "live", "--no-open", "--port", "0", "--home", str(home), *options]
    return subprocess.Popen(
        command, cwd=ROOT, encoding="utf-8", env=plain | added, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--option", "seed=1"], "Mesh warp has no option 'seed'; it has source."),
        (["--engine", "ladder", "--option", "seed=100"], "less than or equal to 99 (got '100')"),
    ],
)
def test_a_host_is_not_put_on_air_with_a_wrong_one(
    live_home: Path, run_root: Path, options: list[str], said: str
) -> None:
    with live(live_home, run_root, *options) as process:
        told, complained = process.communicate(timeout=60)
    assert process.returncode == 1 and said in " ".join(complained.split()), complained
    assert "Console" not in told


def test_a_render_is_made_with_them(live_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDIO_ENGINES", json.dumps(job_engines.ENGINES))
    monkeypatch.setenv("STUDIO_AVATAR", "sample")

    def rendered(name: str, *options: str) -> Any:
        to = tmp_path / f"{name}.mp4"
        driver = str(sample_driver(live_home))
        command = [
            "render",
            "--engine",
            "dyed",
            "--driver",
            driver,
            "--size",
            "128x128",
            "--fps",
            "2",
            "--out",
            str(to),
        ]
        monkeypatch.setattr(sys, "argv", ["studio", *command, "--home", str(live_home), *options])
        with pytest.raises(SystemExit) as ended:
            app.main()
        assert not ended.value.code
        return decoded(to)[1]

    plain = rendered("plain")
    assert rendered("blue", "--option", "blue=100", "--option", "quality=pale") != plain
    assert rendered("same", "--option", "blue=10", "--quality", "deep") == plain


def test_a_host_goes_on_air_with_them(live_home: Path, run_root: Path) -> None:
    options = ["--engine", "ladder", "--option", "quality=half", "--option", "seed=7"]
    with live(live_home, run_root, *options) as process:
        try:
            assert process.stdout is not None
            page = next(found for line in process.stdout if (found := re.search(r"(http://\S+)/#token=(\S+)", line)))
            headers = {"Authorization": f"Bearer {page[2]}"}

            def on_air() -> dict[str, Any] | None:
                """Return the channel's state once the engine has reported its quality, else None."""
                try:
                    state = httpx.get(f"{page[1]}/api/v1/channels/main", headers=headers, timeout=60).json()
                except httpx.TransportError:
                    return None
                return dict(state) if state["engine"]["quality"] is not None else None

            state = wait_for(on_air, what="the engine's quality", every=0.2)
            assert state["scene"]["options"] == {"quality": "half", "seed": 7}, "by the engine's types"
            assert state["engine"]["quality"] == {"name": "half", "title": "256 pixels"}
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate()
    assert process.returncode in (0, 130)


def test_services_are_handed_them(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"quality": "half", "seed": 7, "pull": 0.5, "eyes": True}
    monkeypatch.setenv("STUDIO_OPTIONS", load_settings(options=given).environment()["STUDIO_OPTIONS"])
    assert load_settings().options == given and [type(each) for each in load_settings().options.values()] == [
        str,
        int,
        float,
        bool,
    ]
