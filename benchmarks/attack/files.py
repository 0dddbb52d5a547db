"""Attack with strange files that users may upload.

Uploads whose content does not match their names, damaged drivers on air, damaged cut-outs.
"""

import shutil
import time
from io import BytesIO
from pathlib import Path

import cv2
import httpx2
import numpy as np
from PIL import Image

from benchmarks.attack.row import AttackRow, beside
from compositing.cutout import Cutout
from harness.channel import Studio
from shared.avatar.build import add_avatar
from shared.avatar.model import load_avatar
from shared.avatar.plate_frames import CUT_OUT_INDEX, CUT_OUTS
from shared.avatar.samples import sample_portrait
from shared.errors import StudioError

SEED = 28
NAMES = (
    "a.mp4", "a.mov", "a.mkv", "a.ts", "a.avi", "a.wav", "a.mp3", "a.amr", "a.jpg", "a.jfif", "a.png", "a.gif",
    "a.webp",
    "a.heic", "a.npz", "a.pkl", "a", ".", "\u202e4pm.a", "a.mp4\0.jpg",
)  # fmt: skip
STARTS = (
    b"", b"\0\0\0\x18ftypmp42", b"\x1a\x45\xdf\xa3", b"RIFF\xff\xff\xff\xffAVI ", b"RIFF\0\0\0\0WAVEfmt ",
    b"\xff\xfb\x90\x64",
    b"ID3\4\0\0\x7f\x7f\x7f\x7f", b"OggS\0\2", b"fLaC\0\0\0\x22", b"caff\0\1\0\0", b"#!AMR\n", b"\x0b\x77", b"G" * 600,
    b"FLV\1\5",
    b"\xff\xd8\xff\xe1\xff\xff", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\x7f\xff\xff\xff\x7f\xff\xff\xff",
    b"GIF89a\xff\xff\xff\xff\xf7",
    b"RIFF\x20\0\0\0WEBPVP8X", b"II*\0\xff\xff\xff\x7f", b"\0\0\0\x1cftypavif", b"PK\3\4\x14\0\1\0",
    b"\x93NUMPY\1\0\xff\xff",
    b"#EXTM3U\n/etc/passwd\n", b"ffconcat version 1.0\nfile /etc/passwd\n", b"<!doctype html>",
)  # fmt: skip
PLACES = (("/drivers", "video"), ("/channels/main/speech", "audio"), ("/avatars", "portrait"), ("/avatars", "body"))
ON_AIR_S = 0.5  # how long an accepted driver is on air


def odd_uploads(run: Studio, count: int) -> AttackRow:
    """Upload `count` files: content that does not match its name and damaged films, in turns.

    An upload that is accepted as a driver drives the channel for a moment. A server error or no answer counts as lost.
    """
    row, generator = AttackRow("odd and damaged uploads"), np.random.default_rng(SEED)
    film = (run.home / "drivers" / "sample.mp4").read_bytes()
    with (
        httpx2.Client(base_url=f"{run.base}/api/v1", headers=run._auth, timeout=60, trust_env=False) as client,
        beside(run, row),
    ):
        for number in range(count):
            row.tried += 1
            damaged = number % 2 == 0
            place, field = PLACES[0] if damaged else PLACES[int(generator.integers(len(PLACES)))]
            name = NAMES[int(generator.integers(len(NAMES)))]
            start = STARTS[int(generator.integers(len(STARTS)))]
            content = _damaged(generator, film) if damaged else start + generator.bytes(int(generator.integers(3000)))
            try:
                answer = client.post(
                    place, data={"name": f"odd-{number}", "rights": "mine"}, files={field: (name, content)}
                )
            except (httpx2.HTTPError, UnicodeError) as error:
                row.lost += 1
                row.wrong(f"{place} had no answer: {type(error).__name__}")
                continue
            if answer.status_code >= 500 or "Traceback" in answer.text:
                row.lost += 1
                row.wrong(f"{place} was answered with {answer.status_code}")
            elif answer.status_code == 201 and place == "/drivers":
                run.patch(driver=answer.json()["driver"])
                time.sleep(ON_AIR_S)
                run.patch(driver="sample")
                client.delete(f"/drivers/{answer.json()['id']}")
    return row


def damaged_cut_outs(folder: Path, count: int) -> AttackRow:
    """Read the alpha of an avatar whose cut-outs or their index are damaged in `count` ways.

    The result must be a matte of the plate's size or a StudioError; any other exception counts as lost. folder: an
    empty folder.
    """
    row, generator = AttackRow("damaged cut-outs"), np.random.default_rng(SEED)
    rgb = sample_portrait()
    alpha = np.zeros(rgb.shape[:2], np.uint8)
    cv2.ellipse(alpha, (rgb.shape[1] // 2, rgb.shape[0] // 2), (250, 400), 0, 0, 360, (255,), -1)
    packed = BytesIO()
    Image.fromarray(np.dstack([rgb, alpha])).save(packed, "PNG")
    portrait = folder / "cut.png"
    portrait.write_bytes(packed.getvalue())
    avatar = add_avatar(folder, "cut", portrait, None, "mine")
    whole = {name: (avatar / name).read_bytes() for name in (CUT_OUTS, CUT_OUT_INDEX)}
    started = time.monotonic()
    for _ in range(count):
        row.tried += 1
        for name, content in whole.items():
            (avatar / name).write_bytes(_damaged(generator, content) if generator.random() < 0.7 else content)
        try:
            opened = load_avatar(avatar)
            found = Cutout(opened).alpha(0, None, 0.0)
            if found.shape != (opened.plate.height, opened.plate.width):
                row.wrong(f"a matte of {found.shape} for a plate of {opened.plate.width}x{opened.plate.height}")
        except StudioError:
            pass  # as wanted: an error with a sentence for the user
        except Exception as error:  # any other exception would end a render
            row.lost += 1
            row.wrong(f"a damaged cut-out raises {type(error).__name__}: {error}")
    row.seconds = time.monotonic() - started
    shutil.rmtree(avatar)
    return row


def _damaged(generator: np.random.Generator, content: bytes) -> bytes:
    """Return a copy of the content with bytes cut off, zeroed or replaced."""
    data = bytearray(content)
    match int(generator.integers(4)):
        case 0:
            del data[int(generator.integers(len(data))) :]
        case 1:
            begin = int(generator.integers(len(data)))
            end = min(len(data), begin + int(generator.integers(1, 2000)))
            data[begin:end] = bytes(end - begin)
        case 2:
            return generator.bytes(len(data))
        case _:
            for _ in range(int(generator.integers(1, 20))):
                data[int(generator.integers(len(data)))] = int(generator.integers(256))
    return bytes(data)
