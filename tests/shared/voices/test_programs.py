"""Programs as voices: text on standard input, killed when the listener leaves, each failure one sentence."""

import asyncio
import gc
import os
from asyncio.base_subprocess import BaseSubprocessTransport
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path

import numpy as np
import pytest

from harness.channel import wait_for
from shared.runtime.clock import SOUND_RATE_HZ
from shared.voices.api import Voice, VoiceError
from shared.voices.espeak import EspeakVoice
from shared.voices.piper import PiperVoice
from shared.voices.speech import spoken_sentence
from shared.voices.voice_thread import VoiceThread
from tests.support.files.sound_files import tone, wav

pytestmark = pytest.mark.apart
Install = Callable[[str, str], Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """A function that installs a shell script as a program and returns the folder in which the script runs."""

    def made(name: str, script: str) -> Path:
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\ncd {tmp_path}\n{script}\n", encoding="utf-8")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
        return tmp_path

    return made


def spoken(voice: Voice, text: str) -> int:
    """Return how many samples the voice makes of a text."""

    async def scenario() -> int:
        async with aclosing(spoken_sentence(voice, text)) as parts:
            return sum([len(part.samples) async for part in parts])

    return asyncio.run(scenario())


def piper_voice(folder: Path, monkeypatch: pytest.MonkeyPatch, rate: object = 16_000) -> None:
    model = folder / "lessac.onnx"
    model.touch()
    Path(f"{model}.json").write_text(f'{{"audio": {{"sample_rate": {rate}}}}}', encoding="utf-8")
    monkeypatch.setenv("STUDIO_VOICE_PIPER_MODEL", str(model))


def test_espeak_is_given_the_text_and_no_setting(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = install("espeak-ng", 'echo "$@" > words; env > variables; cat > text; cat speech.wav')
    (folder / "speech.wav").write_bytes(wav(tone(0.5, rate=22_050), 22_050))
    monkeypatch.setenv("STUDIO_VOICE_ESPEAK_VOICE", "de")
    monkeypatch.setenv("STUDIO_VOICE_OPENAI_KEY", "secret")
    text = '$(touch pwned) --help `ls`; "Grüße" 你好'
    assert abs(spoken(EspeakVoice(), text) - SOUND_RATE_HZ / 2) < 100
    assert (folder / "text").read_text(encoding="utf-8") == text and not (folder / "pwned").exists()
    assert (folder / "words").read_text(encoding="utf-8") == "--stdin --stdout -b 1 -v de -s 165\n"
    assert "secret" not in (folder / "variables").read_text(encoding="utf-8")


def test_piper_is_given_its_model_and_a_line(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = install("piper", 'echo "$@" > words; cat > text; cat speech.raw')
    assert (problem := PiperVoice().probe()) is not None and "STUDIO_VOICE_PIPER_MODEL" in problem.reason
    piper_voice(folder, monkeypatch)
    assert PiperVoice().probe() is None
    (folder / "speech.raw").write_bytes(tone(0.5, rate=16_000).tobytes())
    assert abs(spoken(PiperVoice(), "one\ntwo") - SOUND_RATE_HZ / 2) < 100
    assert (folder / "text").read_text(encoding="utf-8") == "one two\n"
    assert (folder / "words").read_text(encoding="utf-8") == f"--model {folder}/lessac.onnx --output_raw\n"
    for wrong in ('"fast"', 1, "null"):
        piper_voice(folder, monkeypatch, wrong)
        assert (problem := PiperVoice().probe()) is not None and "not a voice of piper's" in problem.reason


def test_a_program_that_is_missing_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for voice, command in ((EspeakVoice(), "sudo apt-get install espeak-ng"), (PiperVoice(), "pipx install piper-tts")):
        assert (problem := voice.probe()) is not None and problem.command == command
    with pytest.raises(VoiceError, match="espeak-ng cannot be started"):
        spoken(EspeakVoice(), "hello")


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo 'The voice does not exist.' >&2; exit 1", "espeak-ng failed (The voice does not exist); try it"),
        ("exit 3", "espeak-ng failed (exit code 3)"),
        ("cat > /dev/null; echo this is not any sound at all, to be sure of it", "espeak-ng does not send WAV"),
        ("cat > /dev/null", "eSpeak NG sent no sound"),
        ("kill -9 $$", "espeak-ng failed (exit code -9)"),
        ("yes | head -c 10000000 >&2; exit 1", "espeak-ng failed (y)"),
    ],
)
def test_what_a_program_does_wrong_is_a_sentence(install: Install, script: str, words: str) -> None:
    install("espeak-ng", script)
    with pytest.raises(VoiceError) as found:
        spoken(EspeakVoice(), "hello " * 30_000)
    assert words in str(found.value)


async def listen_and_go(thread: VoiceThread, sign: Path) -> None:
    """Listen until the program has written the file `sign`, then leave."""

    async def listen() -> None:
        async with aclosing(thread.spoken(EspeakVoice(), "hello")) as parts:
            async for _ in parts:
                pass

    listening = asyncio.ensure_future(listen())
    await asyncio.to_thread(wait_for, sign.exists)
    listening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await listening


def test_a_listener_that_goes_ends_the_program_and_all_that_it_started(install: Install) -> None:
    folder = install("espeak-ng", "sleep 600 & echo $! $$ > pids.part; mv pids.part pids; sleep 600")
    thread = VoiceThread()

    asyncio.run(listen_and_go(thread, folder / "pids"))
    pids = [int(pid) for pid in (folder / "pids").read_text(encoding="utf-8").split()]
    assert len(pids) == 2
    wait_for(lambda: not any(map(_runs, pids)))
    thread.close()


@pytest.mark.parametrize("starting", [False, True])
def test_a_thread_that_closes_while_a_program_starts_or_ends_leaves_nothing_behind(
    install: Install, monkeypatch: pytest.MonkeyPatch, starting: bool
) -> None:
    folder = install("espeak-ng", "touch runs; sleep 600")
    if starting:
        connect = BaseSubprocessTransport._connect_pipes

        async def late(transport: BaseSubprocessTransport, waiter: asyncio.Future[None]) -> None:
            await asyncio.sleep(0.1)
            await connect(transport, waiter)

        monkeypatch.setattr(BaseSubprocessTransport, "_connect_pipes", late)

    async def scenario(thread: VoiceThread) -> None:
        await listen_and_go(thread, folder / "runs")
        thread.close()

    for _ in range(10):
        (folder / "runs").unlink(missing_ok=True)
        asyncio.run(scenario(VoiceThread()))
    gc.collect()  # a leftover process or task warns now, and warnings are errors


def test_a_listener_that_has_heard_enough_ends_the_program_too(install: Install) -> None:
    folder = install("espeak-ng", "echo $$ > pids.part; mv pids.part pids; cat speech.wav; sleep 600")
    (folder / "speech.wav").write_bytes(wav(tone(0.5, rate=22_050), 22_050))
    thread = VoiceThread()

    async def scenario() -> None:
        async with aclosing(thread.spoken(EspeakVoice(), "hello")) as parts:
            assert len((await anext(parts)).samples)

    asyncio.run(scenario())
    pid = int((folder / "pids").read_text(encoding="utf-8"))
    wait_for(lambda: not _runs(pid))
    thread.close()


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_program_that_waits_for_its_listener_holds_a_bounded_amount(install: Install) -> None:
    """The program can write no faster than its sound is fetched."""
    head = wav(np.zeros(0, np.int16), 22_050).hex(" ").split()
    octal = "".join(f"\\{int(each, 16):03o}" for each in head)
    folder = install("espeak-ng", f"printf '{octal}'; head -c 3000000 /dev/zero; touch over; sleep 600")

    async def scenario() -> None:
        async with aclosing(spoken_sentence(EspeakVoice(), "hello")) as parts:
            await anext(parts)
            await asyncio.sleep(0.3)
            assert not (folder / "over").exists()

    asyncio.run(scenario())
