"""`studio jobs` as users type it: real commands, the studio's own Redis and worker, real files."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import av
import psutil
import pytest
import structlog
from typer.testing import CliRunner

from cli.app import app, main
from harness.channel import wait_for
from shared.jobs import status
from shared.jobs.manifest import folder
from shared.jobs.status import park
from shared.jobs.store import LocalStore
from tests.support.files.sound_files import tone, wav
from tests.support.jobs import job_material as material
from tests.support.jobs.farm import descendants, wait_ended

ROOT = Path(__file__).parents[2]
TICKS = 25  # length of the driver, at 25 ticks a second


class JobsCommand:
    """A studio folder, and the `studio jobs` command in it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.store = LocalStore(home / "jobs")
        self.driver = home / "talk.wav"
        self.driver.write_bytes(wav(tone(TICKS / 25, rate=16_000), 16_000))
        plain = {key: value for key, value in os.environ.items() if not key.startswith(("STUDIO_", "REDIS_"))}
        self.environment = plain | {"STUDIO_HOME": str(home), "COLUMNS": "120"}

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "cli.app", "jobs", *arguments]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(command, cwd=ROOT, env=self.environment, encoding="utf-8", **pipes)  # type: ignore[call-overload,no-any-return]

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Run the command; return its exit code, standard output and standard error."""
        with self.start(*arguments) as process:
            said, complained = process.communicate(timeout=180)
        return process.returncode, said, complained

    def json(self, *arguments: str) -> Any:
        code, said, complained = self.run(*arguments, "--json")
        assert code == 0, complained
        return json.loads(said)

    def submit(self, *arguments: str) -> dict[str, Any]:
        return dict(self.json("submit", "--driver", str(self.driver), *arguments))

    def wait(self, job: str, *states: str) -> dict[str, Any]:
        def ended() -> dict[str, Any] | None:
            found = dict(self.json("show", job))
            return found if found["state"] in states else None

        return wait_for(ended, 180, f"{job} is {' or '.join(states)}", every=0)  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def studio(sample_home: Path) -> Iterator[JobsCommand]:
    """A studio with avatars and no running service; processes that a command starts end with the tests."""
    with tempfile.TemporaryDirectory(prefix="studio-jobs-") as folder:
        home = Path(folder) / "home"
        shutil.copytree(sample_home, home)
        yield JobsCommand(home)
        for farm in farms(home):
            ended = [farm, *descendants(farm)]
            with suppress(psutil.NoSuchProcess):  # it ends by itself when idle
                farm.terminate()
            wait_ended(ended, "the farm ends with its processes")


def farms(home: Path) -> list[psutil.Process]:
    """Return the running render farms of this folder."""
    found = []
    for each in psutil.process_iter(["cmdline", "environ"]):
        words, told = each.info["cmdline"] or [], each.info["environ"] or {}  # unreadable for processes of other users
        if "services.local.render_farm" in words and told.get("STUDIO_HOME") == str(home):
            found.append(each)
    return found


def test_on_a_bare_machine_a_job_is_rendered_and_watched_to_its_end(studio: JobsCommand) -> None:
    out = studio.home / "out.mp4"
    code, said, complained = studio.run(
        "submit", "--driver", str(studio.driver), "--out", str(out), "--size", "256x256", "--wait", "--json"
    )
    assert code == 0, complained
    told = [json.loads(line) for line in said.splitlines()]
    assert told[-1]["state"] == "done" and told[-1]["done"] == TICKS and told[-1]["percent"] == 100
    with av.open(str(out)) as film:
        assert sum(1 for _ in film.decode(video=0)) == TICKS
    job = told[-1]["id"]
    assert json.loads(Path(f"{out}.json").read_text(encoding="utf-8"))["job"] == job
    assert studio.json("show", job)["file"] == str(out)
    code, said, _ = studio.run("watch", job)
    assert code == 0 and f"Job {job} is done: {out}" in said
    code, said, _ = studio.run("list")
    assert code == 0 and job in said and "✓ done" in said and "talk.wav" in said
    assert studio.json("rm", job) == {"id": job, "removed": True}
    assert out.exists() and studio.json("list") == []


def test_the_same_key_is_the_same_job(studio: JobsCommand) -> None:
    job = studio.submit("--key", "april", "--size", "256x256")["id"]
    assert studio.submit("--key", "april", "--size", "256x256")["id"] == job
    code, _, complained = studio.run("submit", "--driver", str(studio.driver), "--key", "april", "--size", "128x128")
    assert code == 1 and "key" in complained and len(complained.splitlines()) == 1
    assert [row["id"] for row in studio.json("list")] == [job]
    studio.wait(job, "done")
    studio.json("rm", job)


def test_a_job_is_paused_resumed_cancelled_and_removed(studio: JobsCommand) -> None:
    long = studio.home / "long.wav"
    long.write_bytes(wav(tone(600, rate=16_000), 16_000))  # too long to be finished before it is cancelled
    code, said, complained = studio.run("submit", "--driver", str(long), "--priority", "high")
    assert code == 0, complained
    job = said.strip()
    assert studio.json("pause", job)["state"] == "paused"
    assert studio.json("resume", job)["state"] in ("queued", "rendering")
    watching = studio.start("watch", job)
    assert watching.stdout and watching.stdout.readline().split()[1] in ("queued", "rendering")
    watching.send_signal(signal.SIGINT)
    said, _ = watching.communicate(timeout=60)
    assert watching.returncode == 130 and f"`studio jobs watch {job}` shows it again" in said
    code, _, complained = studio.run("rm", job)
    assert code == 1 and "cancel it first" in complained
    watching = studio.start("watch", job, "--json")
    assert watching.stdout and json.loads(watching.stdout.readline())["id"] == job
    assert studio.json("cancel", job)["state"] == "cancelled"
    said, _ = watching.communicate(timeout=60)
    assert watching.returncode == 4 and json.loads(said.splitlines()[-1])["state"] == "cancelled"
    # A worker that read the state just before may still write that to the list; its next look corrects it.
    wait_for(lambda: [row["id"] for row in studio.json("list", "--state", "cancelled")] == [job], what="it is listed")
    studio.json("rm", job)


def test_a_parked_job_says_why_and_its_exit_code_says_that_it_is_parked(studio: JobsCommand) -> None:
    job = material.job(studio.store, 1)
    park(studio.store, job, "The face is nowhere.", "failed")  # a job parked for want of space would go on by itself
    code, said, _ = studio.run("watch", job)
    assert code == 3 and "The face is nowhere." in said and f"studio jobs retry {job}" in said
    code, said, _ = studio.run("show", job)
    assert code == 0 and "parked" in said and "The face is nowhere." in said
    code, said, _ = studio.run("list")
    assert code == 0 and f"{job}: The face is nowhere." in said
    assert studio.json("cancel", job)["state"] == "cancelled"
    studio.json("rm", job)


def test_what_is_noted_for_a_log_is_not_among_a_commands_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["studio", "jobs", "list", "--json", "--home", str(tmp_path)])
    monkeypatch.setattr(LocalStore, "list", lambda *_: structlog.get_logger().debug("noted") or [])
    structlog.reset_defaults()  # as in a process that has just started
    with pytest.raises(SystemExit):
        main()
    assert json.loads(capsys.readouterr().out) == []


def test_a_damaged_job_is_listed_with_what_helps(tmp_path: Path) -> None:
    job = f"k{0:020x}"  # the id comes from a key, so that it holds no time of submission
    LocalStore(tmp_path / "jobs").write(f"{folder(job)}/job.json", b"{")
    said = CliRunner().invoke(app, ["jobs", "list", "--home", str(tmp_path)]).output
    assert f"{job}: Job '{job}' has a damaged job.json" in said and "studio jobs rm" in said and "Jan" not in said
    assert "1970" not in CliRunner().invoke(app, ["jobs", "show", job, "--home", str(tmp_path)]).output


def test_a_clip_is_shown_by_its_units_and_steps(
    studio: JobsCommand, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Units and steps are shown in place of frames, of which there are none yet."""
    job = material.job(studio.store, 1, units=material.WINDOWS)
    material.begin_windows(studio.store, job)
    monkeypatch.setenv("STUDIO_HOME", str(studio.home))
    monkeypatch.setattr(sys, "argv", ["studio", "jobs", "show", job])

    def shown() -> str:
        with pytest.raises(SystemExit):
            main()
        return " ".join(capsys.readouterr().out.split())

    said = shown()
    assert "1 of 4 units; step-1-window-1 at step 3 of 10, window 2 of 2 in step 1 of 1 (60 %)" in said
    assert "encode done 1" in said and "6/10" in said and "frames" not in said and "fps" not in said
    monkeypatch.setattr("cli.jobs.MOST_ROWS", 3)
    said = shown()
    assert (
        "encode" not in said and "6/10" in said and said.endswith("2 more are done or waiting; --json lists them all.")
    )
    status.set_wanted_state(studio.store, job, "cancelled")
    status.delete_job(studio.store, job)


def test_recover_tells_the_workers_of_what_is_on_disk(studio: JobsCommand) -> None:
    job = material.job(studio.store, 1)
    assert studio.json("recover")["open"] == 1
    studio.json("cancel", job)
    studio.json("rm", job)


def test_what_cannot_be_is_one_sentence(
    studio: JobsCommand, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STUDIO_HOME", str(studio.home))
    driver = ["submit", "--driver", str(studio.driver)]
    empty, gone = studio.home / "empty.mp4", "20200101-000000-00000000"
    empty.touch()
    finished = material.job(studio.store, 1)
    material.complete(studio.store, finished)
    for arguments, word in (
        (["submit", "--driver", "/nowhere/x.mp4"], "x.mp4"),
        (["submit", "--driver", str(empty)], "empty.mp4"),
        (["submit", "--driver", str(studio.home)], "home"),
        ([*driver, "--avatar", "missing"], "missing"),
        ([*driver, "--avatar", "../sample"], "../sample"),
        ([*driver, "--engine", "none"], "none"),
        ([*driver, "--out", str(studio.home / "x.mov")], "x.mov"),
        ([*driver, "--out", "/proc/x.mp4"], "/proc/x.mp4"),
        ([*driver, "--out", str(studio.driver)], "talk.wav"),
        ([*driver, "--codec", "gif"], "gif"),
        ([*driver, "--size", "big"], "big"),
        ([*driver, "--fps", "1/0"], "1/0"),
        (["show", "../../etc"], "no job"),
        (["cancel", gone], "no job"),
        (["watch", gone], "no job"),
        (["rm", gone], "no job"),
        (["retry", finished], "done already"),
        (["pause", finished], "done already"),
    ):
        monkeypatch.setattr(sys, "argv", ["studio", "jobs", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()  # in this process, as importing the renderer eighteen times is slow
        said, complained = capsys.readouterr()
        assert ended.value.code == 1 and not said, (arguments, said)
        assert complained.startswith("studio: ") and "Traceback" not in complained, (arguments, complained)
        assert word in complained.replace("\n", " "), (arguments, complained)
    assert studio.store.list("jobs") == [finished]
    studio.json("rm", finished)
