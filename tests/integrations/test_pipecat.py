"""Real Pipecat pipelines with our video service against a real studio, and the example."""

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from harness.sessions.session_studio import SessionStudio
from tests.support.running.bot import INTEGRATIONS, Bot, RoomEars, play, speech_file

BOT = str(Path(__file__).parent / "bots" / "pipecat_bot.py")
EXAMPLE = str(INTEGRATIONS / "pipecat-personastudio" / "examples" / "speaking_host.py")


def test_the_avatar_speaks_and_is_interrupted_and_the_bot_goes_on_while_it_is_away(
    other_python: Path, serving: SessionStudio
) -> None:
    async def scene(made: Bot, ears: RoomEars) -> None:
        await made.until(lambda: len(made.events("asked")) == 3)
        asked = made.events("asked")
        cut = made.events("interrupting")[0]
        assert 0.8 < ears.loud_seconds("bot", asked[0]["at"], asked[1]["at"]) < 1.4
        begun = [each for each in made.events("started") if asked[1]["at"] < each["at"] < cut["at"]][-1]
        # It was cut off, and nothing of what was comes later.
        assert 0.5 < ears.loud_seconds("bot", asked[1]["at"], asked[2]["at"]) < cut["at"] - begun["at"] + 0.7
        await made.until(lambda: ears.frames.get("bot", 0) > 10)
        assert not made.events("error")

        def session() -> dict[str, Any]:
            return dict(serving.http.get("/sessions").json()["sessions"][0])

        await made.until(lambda: session()["figures"].get("viewers") == 1)
        assert session()["width"] == 256
        await made.until(lambda: ears.loud_seconds("bot", asked[2]["at"]) > 0.5)
        os.kill(serving.pids()["sessions"], signal.SIGKILL)  # and it comes back
        await made.until(lambda: made.events("done"))
        (error,), asked, said = made.events("error"), made.events("asked"), made.events("said")
        assert "The avatar has left" in error["why"]
        await ears.until(lambda: ears.loud_seconds("bot", asked[2]["at"]) > 6.0)
        await ears.until(lambda: ears.loud_seconds("bot", asked[3]["at"]) > 0.8)
        assert ears.loud_seconds("bot", asked[2]["at"]) < 9.0  # the six seconds, and one more
        assert ears.loud_seconds("bot", error["at"], asked[3]["at"]) > 3
        assert [each["through"] > 0 for each in said] == [False, False, True, False]  # the last is the avatar's again

    play(other_python, serving, (BOT,), scene, STEPS="say rest interrupt rest long wait say")


@pytest.mark.slow  # what it does then is tested where the avatar has left
def test_without_a_studio_the_speech_goes_through(other_python: Path, serving: SessionStudio) -> None:
    async def scene(made: Bot, ears: RoomEars) -> None:
        await made.until(lambda: made.events("done"))
        (error,), (asked,) = made.events("error"), made.events("asked")
        assert "The studio at http://127.0.0.1:9 cannot be reached" in error["why"]
        await ears.until(lambda: ears.loud_seconds("bot", asked["at"]) > 0.8)
        assert ears.loud_seconds("bot", asked["at"]) < 1.4

    play(other_python, serving, (BOT,), scene, STEPS="say", PERSONASTUDIO_URL="http://127.0.0.1:9")


@pytest.mark.slow  # its plugin is tested above, in a bot that does more
def test_the_example_speaks_and_ends(other_python: Path, serving: SessionStudio, tmp_path: Path) -> None:
    async def scene(made: Bot, ears: RoomEars) -> None:
        await asyncio.wait_for(made.process.wait(), 90)
        assert [line for line in made.text.splitlines() if line.startswith("said: ")] == [
            "said: greeting", "said: interruption", "said: goodbye",
        ]  # fmt: skip
        await ears.until(lambda: ears.frames.get("bot", 0) > 10)
        assert made.process.returncode == 0

    play(other_python, serving, (EXAMPLE,), scene, WAV=str(speech_file(tmp_path)))
    assert serving.http.get("/sessions").json()["sessions"][0]["note"] == "It was ended by request."
