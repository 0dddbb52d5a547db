"""A WAV that arrives in pieces yields its samples, and any other data is refused."""

import pytest

from shared.voices.wav_stream import WavStream
from tests.support.files.sound_files import tone, wav


def test_samples_come_whole_however_the_file_is_cut() -> None:
    sound = tone(0.02, rate=22_050)
    data = wav(sound, 22_050)
    data = data[:12] + b"LIST\x05\0\0\0abcde\0" + data[12:]
    for size in (1, 3, 44, 45, 5000):
        stream, found = WavStream(), b""
        for at in range(0, len(data), size):
            found += stream.feed(data[at : at + size])
        assert found == sound.tobytes() and stream.rate == 22_050


@pytest.mark.parametrize(
    "data",
    [
        b"no wav at all, and long enough",
        b"RIFF\0\0\0\0WAVEdata\0\0\0\0",
        b"RIFF\0\0\0\0WAVEfmt \x02\0\0\0\1\0data",
        wav(tone(0.01)).replace(b"\x01\0\x01\0", b"\x01\0\x02\0", 1),
        b"RIFF\0\0\0\0WAVEjunk\xff\xff\xff\x7f" + bytes(70_000),
    ],
)
def test_what_is_no_16_bit_mono_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"no|not"):
        WavStream().feed(data)
