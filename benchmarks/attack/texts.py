"""Attack by odd texts on a channel whose voice server streams, stalls, breaks off and answers nonsense."""

import re
import time
from pathlib import Path

import httpx2
import numpy as np

from benchmarks.attack.row import AttackRow, beside
from harness.channel import Studio, studio, wait_for
from harness.speech_server import KEY, speech_server

SEED, SPEECH = 22, "/speech"
MODES = ("stream", "fail", "json", "mp3", "wav", "silent", "break", "refuse", "late", "stall", "endless")
TEXTS = [
    "", "…", "a" * 9_999, "a. " * 3_000, "\0\x1b[2J", "\ud7ff\u202e", "\n" * 5_000, "<speak><break time='9h'/></speak>",
    "[[x]]",
    "$(reboot) `id` ; rm -rf /", "-x --help", "你好。" * 3_000, '"' * 9_000, "Hello there.", "One. Two! Three?",
    "x" * 20_000,
]  # fmt: skip
ANSWERS = (200, 201, 422, 429, 502)
CUE = re.compile(r"[\d:]{8,}\.\d{3} --> [\d:]{8,}\.\d{3}\n[^<>\n]+")
SILENT_WAIT_S = 45.0  # for a server that answers late


def texts(home: Path, folder: Path, count: int) -> AttackRow:
    """Send `count` texts, some of them interrupted, during a recording with burnt-in captions; then speak a sentence.

    Counted as lost: an unexpected status or no answer, a last sentence that is not spoken in time, and captions that
    are not WebVTT. Noted as wrong: a last sentence that ends with an error, another last caption, and a key in the
    state.
    """
    row, generator = AttackRow("odd texts and odd voices"), np.random.default_rng(SEED)
    with speech_server() as server:
        told = {"STUDIO_VOICE_OPENAI_URL": server.url, "STUDIO_VOICE_OPENAI_KEY": KEY, "STUDIO_VOICE": "openai"}
        with studio(
            home, folder / "run-texts", "--port", "0", "--driver", "speech", "--burn-captions", environment=told
        ) as run:
            run.on_air()
            with (
                httpx2.Client(
                    base_url=f"{run.base}/api/v1/channels/main", headers=run._auth, timeout=30, trust_env=False
                ) as client,
                beside(run, row),
            ):
                recording = client.post("/recording").json()["id"]
                for _ in range(count):
                    server.mode = MODES[int(generator.integers(len(MODES)))]
                    text = TEXTS[int(generator.integers(len(TEXTS)))]
                    voice = ("", "", "openai", "../x")[int(generator.integers(4))]
                    row.tried += 1
                    _ask(client, row, SPEECH, {"text": text, "voice": voice})
                    if generator.random() < 0.5:
                        _ask(client, row, f"{SPEECH}/interrupt", None)
                _ask(client, row, f"{SPEECH}/interrupt", None)
                server.release.set()
                server.mode = "stream"
                _check_speech(client, row)
                client.delete("/recording")
                _check_captions(run, row, recording)
                if KEY in client.get(SPEECH).text or KEY in str(run.state()):
                    row.wrong("the key stands in the state")
            run.end()
    return row


def _ask(client: httpx2.Client, row: AttackRow, path: str, body: object) -> None:
    try:
        answer = client.post(path, json=body)
    except (httpx2.HTTPError, UnicodeError) as error:
        row.lost += 1
        row.wrong(f"a text had no answer: {type(error).__name__}")
        return
    if answer.status_code not in ANSWERS:
        row.lost += 1
        row.wrong(f"a text was answered with {answer.status_code}")


def _check_speech(client: httpx2.Client, row: AttackRow) -> None:
    said = client.post(SPEECH, json={"text": "All is well."}).json()
    begun = time.monotonic()
    try:
        wait_for(
            lambda: any(r["id"] == said.get("id") for r in client.get(SPEECH).json()["recent"]), SILENT_WAIT_S, "said"
        )
        ended = next(each for each in client.get(SPEECH).json()["recent"] if each["id"] == said["id"])
        if ended["note"] or not ended["seconds"]:
            row.wrong(f"the last sentence was not said: {ended['note']}")
    except (AssertionError, TimeoutError):
        row.lost += 1
        row.wrong(f"the last sentence was not said in {time.monotonic() - begun:.0f} s")


def _check_captions(run: Studio, row: AttackRow, recording: str) -> None:
    """Check that the recording's captions are WebVTT cues and nothing else, and end with the last sentence."""
    wait_for(lambda: run.state()["outputs"]["record"]["state"] == "off", SILENT_WAIT_S, "the recording is closed")
    answer = httpx2.get(
        f"{run.base}/api/v1/recordings/{recording}/captions", headers=run._auth, timeout=10, trust_env=False
    )
    head, *cues = answer.text.rstrip("\n").split("\n\n")
    if answer.status_code != 200 or head != "WEBVTT" or not all(CUE.fullmatch(cue) for cue in cues):
        row.lost += 1
        row.wrong("the captions of the recording are no WebVTT")
    elif "All is well." not in cues[-1]:
        row.wrong(f"the last caption is another: {cues[-1][:80]!r}")
