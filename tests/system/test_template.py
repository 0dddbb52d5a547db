"""A whole channel driven by recorded motion."""

from pathlib import Path

from harness.channel import Studio, studio, wait_for
from tests.support.engines.slow_engines import ENGINES
from tests.support.jobs.template_farm import template
from tests.support.running.channel_looks import note_of, service_row


def events(run: Studio) -> list[str]:
    return [event["text"] for event in run.state()["log"]]


def test_a_template_drives_from_the_command_line_and_no_driver_is_missed(
    live_home: Path, run_root: Path, tmp_path: Path
) -> None:
    template(25, 25.0).save(walk := tmp_path / "walk.npz")
    started = ("--port", "0", "--engine", "playing", "--driver", str(walk))
    with studio(live_home, run_root, *started, engines=ENGINES) as run:
        run.on_air()
        assert run.state()["scene"]["driver"] == "as-started"
        wait_for(lambda: run.state()["program"]["by_template"], what="driven by it")
        wait_for(lambda: service_row(run, "capture").get("state") == "template", what="capture leaves it alone")
        capture = service_row(run, "capture")
        assert (capture["note"], capture["fps"]) == ("", 0.0)
        colours, faces = set[bytes](), run.read("face")

        def it_moves() -> bool:
            colours.update(bytes(message.array[0, 0, :3]) for message in faces.read())
            return len(colours) > 10

        wait_for(it_moves)
        assert not any("lost" in text for text in events(run)), "no driver is missed"
        run.patch(driver="sample")
        wait_for(lambda: service_row(run, "capture").get("state") in ("running", "no face"), what="another driver")
        wait_for(lambda: run.state()["on_air_state"] == "ON AIR", what="on air by that")
        run.patch(driver="as-started", loop=False)
        wait_for(lambda: service_row(run, "capture").get("state") == "template", what="this one again")
        before = events(run)
        wait_for(lambda: note_of(run, "generator").startswith("The recorded motion has ended"), what="it ends")
        wait_for(lambda: "Idle: the recorded motion shows no face." in events(run), what="an event")
        assert not any("lost" in text for text in events(run)[len(before) :]), events(run)
