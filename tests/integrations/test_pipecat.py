"""Real Pipecat pipelines with the project's video service against a real studio, and the example."""

import os
import signal
from pathlib import Path

import pytest

from harness.sessions.session_studio import SessionStudio
from tests.support.running.bot import INTEGRATIONS, Bot, RoomEars, play, speech_file

BOT = str(Path(__file__).parent / "bots" / "pipecat_bot.py")
FRAME_S = 0.02  # length of a sound frame of the bot
PAUSE_S = 1.0  # silence after which a speech is over
EXAMPLE = str(INTEGRATIONS / "pipecat-personastudio" / "examples" / "speaking_host.py")


def test_the_avatar_speaks_and_is_interrupted_and_the_bot_goes_on_while_it_is_away(
    other_python: Path, serving: SessionStudio
) -> None:
    async def scene(made: Bot, ears: RoomEars) -> None:
        heard = [0.0]

        async def speech() -> float:
            """Wait until the next speech is over, let the bot continue, and return how many seconds were heard."""
            pauses, before = len(heard), heard[-1]
            await made.until(lambda: len(made.events("pause")) == pauses and ears.heard_seconds("bot") > before)
            await made.until(lambda: ears.silent_seconds("bot") >= PAUSE_S)
            heard.append(ears.heard_seconds("bot"))
            made.go_on()
            return heard[-1] - before

        assert 0.5 < await speech() < 1.9  # spoken once; a busy machine stretches it
        assert 0.5 < await speech() < 8.0  # the part that was cut off is not heard
        await made.until(lambda: len(made.events("asked")) == 3)
        asked = made.events("asked")
        await made.until(lambda: ears.frames.get("bot", 0) > 10)
        assert not made.events("error")
        session = serving.http.get("/sessions").json()["sessions"][0]
        assert session["width"] == 256 and session["figures"]["viewers"] == 1
        await made.until(lambda: ears.heard_seconds("bot") > heard[-1] + 1.0)
        os.kill(serving.pids()["sessions"], signal.SIGKILL)  # the process is restarted
        await made.until(lambda: len(made.events("said")) == 3 and made.events("error"))
        (error,), said = made.events("error"), made.events("said")
        assert "The avatar has left" in error["why"]
        # The bot itself speaks what the avatar had no time for, and at most all of it.
        rest = said[2]["through"] * FRAME_S
        assert 6.0 - (error["at"] - asked[2]["at"]) < rest <= 6.0
        await made.until(lambda: ears.heard_seconds("bot", error["at"]) > 0.5 * rest)
        await made.until(lambda: made.events("done"))
        said = made.events("said")
        assert [each["through"] > 0 for each in said] == [False, False, True, False]  # the avatar speaks the last again

    play(other_python, serving, (BOT,), scene, STEPS="say pause interrupt pause long wait say")


@pytest.mark.slow  # the test in which the avatar leaves covers this too
def test_without_a_studio_the_speech_goes_through(other_python: Path, serving: SessionStudio) -> None:
    async def scene(made: Bot, ears: RoomEars) -> None:
        await made.until(lambda: made.events("done"))
        (error,), (asked,), (said,) = made.events("error"), made.events("asked"), made.events("said")
        assert "The studio at http://127.0.0.1:9 cannot be reached" in error["why"]
        await made.until(lambda: ears.silent_seconds("bot") >= PAUSE_S)
        assert 0.8 < ears.heard_seconds("bot") < 1.4 and said["at"] > asked["at"]

    play(other_python, serving, (BOT,), scene, STEPS="say", PERSONASTUDIO_URL="http://127.0.0.1:9")


@pytest.mark.slow  # the test above covers its plugin with a bot that does more
def test_the_example_speaks_and_ends(other_python: Path, serving: SessionStudio, tmp_path: Path) -> None:
    async def scene(made: Bot, ears: RoomEars) -> None:
        await made.process.wait()
        assert [line for line in made.text.splitlines() if line.startswith("said: ")] == [
            "said: greeting", "said: interruption", "said: goodbye",
        ]  # fmt: skip
        assert ears.frames["bot"] > 10 and made.process.returncode == 0

    play(other_python, serving, (EXAMPLE,), scene, WAV=str(speech_file(tmp_path)))
    assert serving.http.get("/sessions").json()["sessions"][0]["note"] == "It was ended by request."
