"""A whole channel that recorded motion drives."""

from pathlib import Path

from harness.channel import studio, wait_for
from tests.support.engines.slow_engines import ENGINES
from tests.support.jobs.template_farm import template


def test_a_template_drives_from_the_command_line_and_no_driver_is_missed(
    live_home: Path, run_root: Path, tmp_path: Path
) -> None:
    template(25, 25.0).save(walk := tmp_path / "walk.npz")
    started = ("--port", "0", "--engine", "playing", "--driver", str(walk))
    with studio(live_home, run_root, *started, engines=ENGINES) as run:
        run.on_air()
        state = run.state()
        assert state["scene"]["driver"] == "as-started" and state["program"]["by_template"]
        capture = state["services"]["capture"]
        assert (capture["state"], capture["note"], capture["fps"]) == ("template", "", 0.0)
        assert len({bytes(m.array[0, 0, :3]) for _, m in run.collect_messages("face", 1.5)}) > 10, "it moves"
        run.patch(driver="sample")
        wait_for(lambda: run.state()["services"]["capture"]["state"] in ("running", "no face"), 10, "another driver")
        run.patch(driver="as-started", loop=False)
        wait_for(lambda: run.state()["on_air_state"] == "IDLE", 20, "it ends")
        assert run.state()["services"]["generator"]["note"].startswith("The recorded motion has ended")
        said = [event["text"] for event in run.state()["log"]]
        assert "No face comes of the recorded motion, idle." in said and not any("lost" in text for text in said), said
