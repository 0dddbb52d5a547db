"""Attack by kills, of every stage of a channel that records and of the studio itself."""

import os
import signal
import time
from functools import partial
from pathlib import Path

import av

from benchmarks.attack.row import AttackRow, recording_seconds
from harness.channel import SERVICES, Studio, children, longest_gap, studio, wait_for

RATE_FPS = 25
GAP_S = 1.0  # longest gap that a kill of any stage but the compositor may cause in the program


def stages(run: Studio, services: tuple[str, ...], count: int) -> list[AttackRow]:
    """Kill each of these stages `count` times, one after the other.

    The program must continue meanwhile, and must be on air again within 30 s of each kill.
    """
    rows = []
    for service in services:
        row = AttackRow(f"kills of {service}")
        started = time.monotonic()
        for _ in range(count):
            before = run.pids()
            os.kill(before[service], signal.SIGKILL)
            row.tried += 1
            gap = longest_gap(run.collect_messages("program", 2.0), 2.0)
            if service != "compositor" and gap > GAP_S:
                row.wrong(f"the program stood still for {gap:.1f} s")
            try:
                wait_for(lambda: set(run.pids()) == set(SERVICES) and run.state().get("on_air_state") == "ON AIR", 30)
            except AssertionError:
                row.lost += 1
                row.wrong("it was not on air again within 30 s")
                break
            after = run.pids()
            row.died += sum(after[name] != pid for name, pid in before.items() if name != service)
        row.seconds = time.monotonic() - started
        rows.append(row)
    return rows


def whole_studio(home: Path, folder: Path, count: int) -> AttackRow:
    """Kill the studio `count` times while it records.

    Its services must end with it, every recording must play, and the next studio must start.
    """
    row, started = AttackRow("kills of the studio"), time.monotonic()
    for number in range(count):
        out = folder / f"killed-{number}.mp4"
        with studio(home, folder / "run", "--port", "0", "--record", str(out)) as run:
            run.on_air()
            on_air = time.monotonic()
            time.sleep(2.0 + number % 3)
            services, counted = run.pids(), lost_frames(run)
            run.process.kill()
            run.process.wait()
            kept = time.monotonic() - on_air
            row.tried += 1
            try:
                wait_for(partial(_are_gone, services), 15)
            except AssertionError:
                row.lost += 1
                row.wrong("a service outlived the studio")
        try:
            seconds, frames = recording_seconds(out)
            # The last fragment is not on the disk yet: it is written once a second.
            if seconds < kept - 2.0 or frames + counted < (seconds - 1.0) * RATE_FPS:
                row.lost += 1
                row.wrong(f"a recording has {seconds:.1f} s and {frames} frames of {kept:.1f} s")
        except (av.FFmpegError, OSError) as error:
            row.lost += 1
            row.wrong(f"a recording does not play: {error}")
    row.seconds = time.monotonic() - started
    return row


def lost_frames(run: Studio) -> int:
    """Return how many frames of its recording a channel has counted as lost.

    A machine that is too slow for the attack loses some.
    """
    drops = run.state().get("services", {}).get("gateway", {}).get("drops", {})
    return int(drops.get("record frame", 0) + drops.get("frame skipped", 0))


def _are_gone(services: dict[str, int]) -> bool:
    return not any(Path(f"/proc/{pid}").exists() for pid in services.values())


def descendants(pid: int) -> list[int]:
    """Return the process ids of all descendants of a process, and its own as the last."""
    return [each for child in children(pid) for each in descendants(child)] + [pid]
