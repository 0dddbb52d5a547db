"""StableAvatar on a farm.

Three workers, of which one is killed in the middle of a window and one is added, make the clip of a single worker.

CLIP_SECONDS in the environment is the length of the speech; `-s` shows what each worker did.
"""

import json
import os
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from services.renderer.job.submit import JobRequest, submit_to_store
from tests.support.engines.held_stableavatar import ENGINES, FREE, HOLD, LINES, UnitEvent, UnitMoment, unit_events
from tests.support.engines.job_engines import ORDERS
from tests.support.engines.stableavatar_material import tiny_weights
from tests.support.jobs.farm import Running, child, kill, running, speech, wait

SECONDS = float(os.environ.get("CLIP_SECONDS", "2.4"))
RATE_FPS = 25.0
PATIENCE_S = 900.0  # seconds for a long clip on a busy machine
OPTIONS: dict[str, str | int] = {"steps": 3, "overlap": 2, "reference": "portrait"}
WORKER = ("cli.app", "worker", "--engines", "heldavatar")


@dataclass
class HeldFarm:
    """A farm whose own worker serves every engine, while the others serve only the engine that is held."""

    here: Running
    orders: Path
    driver: Path

    def submit(self, engine: str) -> str:
        request = JobRequest(self.here.home / "avatars" / "sample", self.driver, engine=engine, options=OPTIONS)
        job = submit_to_store(self.here.store, request, self.here.settings).id
        self.here.queue.wake(job, engine, "normal")
        return job

    def finish(self, job: str) -> list[str]:
        return self.here.finish(job, PATIENCE_S)

    def events(self, event: UnitMoment) -> list[UnitEvent]:
        return [each for each in unit_events(self.orders) if each.event == event]

    def units(self, event: UnitMoment) -> Counter[str]:
        """Count the events of each unit."""
        return Counter(each.unit for each in self.events(event))

    def by_process(self, event: UnitMoment) -> Counter[int]:
        """Count the events in each process."""
        return Counter(each.process for each in self.events(event))

    def wait(self, until: Callable[[], object], what: str) -> None:
        wait(until, f"{what}; {self.here.said()}", PATIENCE_S)


def test_three_workers_with_one_killed_and_one_added_make_the_clip_of_one(small_home: Path, tmp_path: Path) -> None:
    with tiny_weights(), ExitStack() as stack:
        named = {name: os.environ[name] for name in ("STUDIO_WEIGHTS", "PERSONA_STUDIO_CACHE")}
        named |= {ORDERS: str(tmp_path), "STUDIO_ENGINES": json.dumps(ENGINES)}
        here = stack.enter_context(running(tmp_path / "home", small_home, **named))
        here.settings = here.settings.model_copy(update={"engines": ENGINES, "fps": RATE_FPS})
        farm = HeldFarm(here, tmp_path, speech(here.home / "speech.wav", SECONDS))
        workers = [stack.enter_context(here.process("services.local.render_farm"))]
        farm.wait(here.redis_url, "Redis")
        workers += [stack.enter_context(here.process(*WORKER)) for _ in range(2)]
        alone = farm.finish(farm.submit("aloneavatar"))
        assert len(alone) == round(SECONDS * RATE_FPS) and len(set(alone)) > len(alone) / 2
        units = farm.units("begun")
        assert set(units.values()) == {1} and len(farm.by_process("ended")) == 1
        assert len(farm.events("loaded")) == 1, "a worker loads the model once a job"

        (tmp_path / LINES).unlink()
        (tmp_path / HOLD).write_text("denoise-001", encoding="utf-8")
        processes = [child(each).pid for each in workers]
        job = farm.submit("heldavatar")
        farm.wait(lambda: len(farm.events("held")) == len(workers), "three at work")
        held = {each.process: each.unit for each in farm.events("held")}
        assert set(held) == set(processes) and len(set(held.values())) == len(workers)
        kill(workers[1])
        added = child(stack.enter_context(here.process(*WORKER, **{FREE: "1"}))).pid
        farm.wait(lambda: farm.by_process("ended")[added], "a unit by the added one")
        (tmp_path / HOLD).unlink()
        assert farm.finish(job) == alone

    again, by = farm.units("begun"), farm.by_process("ended")
    print(f"\n{len(alone)} frames equal, {len(units)} units, begun again: {dict(again - units)}")
    print("units of the three:", [by[each] for each in processes], "of the added:", by[added])
    assert again - units == {held[processes[1]]: 1} and set(again) == set(units)
    assert set(farm.by_process("loaded").values()) == {1} and by.total() == len(units)
