"""Attack on jobs: kills of workers, queue and farm during renders, and a store full of strange files."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks.attack.kills import descendants
from benchmarks.attack.row import AttackRow, beside
from harness.channel import Studio, command
from services.renderer.job.submit import JobRequest, submit_to_store
from shared.config.settings import load_settings
from shared.jobs.manifest import folder
from shared.jobs.store import LocalStore

SEED = 19
JOBS = 3
WAIT_S = 300.0  # for all jobs after the last kill
BEAT_S = 1.5  # between two kills
FARM = "services.local.render_farm"
NAMES = (
    "claim-0001.sync-conflict-1.json", "claim-0001 (1).json", "claim-.json", "claim-99999999999999999999.json",
    "done.json",
    "failed-0001 copy.json", "parked.json", "result.json", ".claim-0001.json.swp", "wish.json", "\udcff\udcfe.json",
)  # fmt: skip
CONTENTS = (b"", b"{", b"\xff\xfe", b"[]", b"null", b'{"ticks": "many"}', b"[" * 100_000, b'{"beat": "x", "worker": 3}')


def farm_kills(home: Path, files: Path, count: int) -> AttackRow:
    """Kill workers, queue and farm, `count` kills in all, while several jobs are rendered.

    The output of each job must equal that of a job that was rendered undisturbed.
    """
    row, generator = AttackRow("kills of worker, queue, farm"), np.random.default_rng(SEED)
    wanted = _digest(_submitted(home, files / "alone.mp4"), files / "alone.mp4")
    started = time.monotonic()
    outs = [files / f"attacked-{number}.mp4" for number in range(JOBS)]
    waiting = [_submitted(home, out) for out in outs]
    done = 0
    while row.tried < count:
        time.sleep(BEAT_S * generator.uniform(0.5, 1.5))
        if targets := _farm(home):
            os.kill(int(generator.choice(targets)), signal.SIGKILL)
            row.tried += 1
        for number, each in enumerate(waiting):
            if each.poll() is not None and row.tried < count:  # so that the attack always has a job to disturb
                row.lost += _digest(each, outs[number]) != wanted
                done += 1
                outs[number] = files / f"attacked-{JOBS + done}.mp4"
                waiting[number] = _submitted(home, outs[number])
    for each, out in zip(waiting, outs, strict=True):
        row.lost += _digest(each, out) != wanted
        done += 1
    row.seconds = time.monotonic() - started
    row.what += f", {done} jobs"
    if row.lost:
        row.wrong(f"{row.lost} jobs are missing, or differ from the one that was left alone")
    for pid in _farm(home):
        os.kill(pid, signal.SIGTERM)
    return row


def strange_store(run: Studio, count: int) -> AttackRow:
    """Write `count` strange files into the job store of a studio on air, in and beside valid jobs.

    `studio jobs list` must still list the valid job.
    """
    row, generator = AttackRow("strange files in the store"), np.random.default_rng(SEED)
    settings = load_settings(home=run.home)
    store = LocalStore(Path(settings.jobs_url))
    driver, avatar = run.home / "drivers" / "sample.mp4", run.home / "avatars" / "sample"
    whole = submit_to_store(store, JobRequest(avatar, driver, key="whole"), settings).id
    attacked = submit_to_store(store, JobRequest(avatar, driver, key="attacked"), settings).id
    units = store.root / folder(attacked) / "units"
    places = [
        store.root,
        store.root / folder(attacked),
        units / "render-00000",
        units / "no-unit",
        store.root / "no-job",
    ]
    with beside(run, row):
        for _ in range(count):
            place = places[int(generator.integers(len(places)))]
            name, content = NAMES[int(generator.integers(len(NAMES)))], CONTENTS[int(generator.integers(len(CONTENTS)))]
            place.mkdir(parents=True, exist_ok=True)
            (place / name).write_bytes(content)
            row.tried += 1
        (store.root / folder(attacked) / "job.json").write_bytes(b"{")
        time.sleep(6.0)  # so that every process that looks for jobs has read the store
        for words in (("list", "--json"), ("show", attacked)):
            told = _studio(run.home, "jobs", *words, "--home", str(run.home))
            said, _ = told.communicate(timeout=60)
            if b"Traceback" in said:
                row.wrong(f"`studio jobs {words[0]}` ends in a traceback")
            if words[0] == "list" and whole.encode() not in said:
                row.lost += 1
                row.wrong("the whole job is not listed")
        # Remove the store in the middle of the run, as a user may. It is renamed, because deleting it file by file
        # would race with the farm's own writes.
        store.root.rename(run.home / "gone")
    return row


def _studio(home: Path, *words: str) -> "subprocess.Popen[bytes]":
    variables = {k: v for k, v in os.environ.items() if not k.startswith("STUDIO_")} | {"STUDIO_HOME": str(home)}
    return subprocess.Popen(
        [sys.executable, "-m", "cli.app", *words],
        env=variables, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def _submitted(home: Path, out: Path) -> "subprocess.Popen[bytes]":
    driver = str(home / "drivers" / "sample.mp4")
    return _studio(
        home,
        "jobs",
        "submit",
        "--driver",
        driver,
        "--size",
        "320x240",
        "--key",
        out.stem,
        "--out",
        str(out),
        "--wait",
        "--json",
    )


def _digest(process: "subprocess.Popen[bytes]", out: Path) -> str:
    """Wait for a job and return the SHA-256 of its output in hexadecimal, "" if it made none."""
    try:
        process.communicate(timeout=WAIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return ""
    return hashlib.sha256(out.read_bytes()).hexdigest() if out.exists() else ""


def _farm(home: Path) -> list[int]:
    """Return the process ids of a home's farm and all its descendants."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        pid = int(entry.name)
        try:
            ours = f"STUDIO_HOME={home}\0".encode() in (entry / "environ").read_bytes() + b"\0"
        except OSError:
            continue
        if ours and FARM in command(pid):
            found += descendants(pid)
    return sorted(set(found))
