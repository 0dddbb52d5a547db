"""Check of the first bytes of raw PCM, because a compressed file sent as PCM would be played as noise."""

from shared.media.intake.signature import signature_of_bytes

_SURE_BYTES = 12  # enough bytes to recognise a file's format
_FILES = ("WAV", "Ogg", "FLAC", "MP3", "AMR", "CAF", "Matroska or WebM", "MP4 or QuickTime", "WMV or WMA", "FLV")
_LAYER_3_KBPS = {
    True: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),  # MPEG 1
    False: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),  # MPEG 2 and 2.5
}
_RATES_HZ = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}


class PcmStart:
    """Buffers the beginning of PCM until it is known not to be a file of a common format.

    This needs 12 bytes, or up to 2 kB if the bytes look like a frame of MP3 or AAC: only two consecutive frames prove
    such a file.
    """

    def __init__(self) -> None:
        self._held = b""
        self._open = False

    def feed(self, data: bytes) -> bytes:
        """Add bytes and return those that are known to be PCM. Raises ValueError with a sentence if they are a file."""
        if self._open:
            return data
        self._held += data
        if len(self._held) < _SURE_BYTES:
            return b""
        signed = signature_of_bytes(self._held)
        if signed is not None and signed.name in _FILES:
            raise ValueError(_refusal(signed.name))
        for name, length in (("MP3", _mp3_frame_bytes), ("AAC", _aac_frame_bytes)):
            if at := length(self._held):
                if len(self._held) < at + _SURE_BYTES:
                    return b""
                if length(self._held[at:]):
                    raise ValueError(_refusal(name))
        return self.rest()

    def rest(self) -> bytes:
        """Return the buffered bytes, at the end of the input."""
        held, self._held, self._open = self._held, b"", True
        return held


def _refusal(name: str) -> str:
    return f"This is {name}, which would be heard as noise; send raw PCM, or POST the file to .../speech."


def _mp3_frame_bytes(head: bytes) -> int:
    """Length in bytes of the MPEG layer 3 frame that begins here, 0 if none does."""
    if head[0] != 0xFF or head[1] & 0xE6 != 0xE2:
        return 0
    version, index, rate = head[1] >> 3 & 3, head[2] >> 4, head[2] >> 2 & 3
    if version == 1 or index in (0, 15) or rate == 3:
        return 0
    first = version == 3
    return (144 if first else 72) * _LAYER_3_KBPS[first][index] * 1000 // _RATES_HZ[version][rate] + (head[2] >> 1 & 1)


def _aac_frame_bytes(head: bytes) -> int:
    """Length of the ADTS frame of AAC that begins here, 0 where none does."""
    if head[0] != 0xFF or head[1] & 0xF6 != 0xF0 or head[2] >> 2 & 15 > 12:
        return 0
    length = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
    return length if length >= 7 else 0
