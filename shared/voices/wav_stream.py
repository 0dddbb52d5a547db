"""A WAV file that is read while it is made: its sizes say nothing, its samples come in blocks of any length."""

import struct

PCM, EXTENSIBLE = 1, 0xFFFE
MAX_HEADER_BYTES = 64 << 10  # before the samples


class WavStream:
    """Takes bytes, gives samples.

    rate: in Hz, 0 until the header has come. Raises ValueError for what is not 16 bit mono.
    """

    def __init__(self) -> None:
        self.rate = 0
        self._held = b""
        self._begun = False

    def feed(self, data: bytes) -> bytes:
        """Return the samples in these bytes, 16 bit little-endian mono."""
        if self._begun:
            return data
        self._held += data
        if len(self._held) > MAX_HEADER_BYTES:
            raise ValueError("no samples")
        at = self._chunks()
        if not self._begun:
            return b""
        rest, self._held = self._held[at:], b""
        return rest

    def _chunks(self) -> int:
        """Read the chunks that are there whole, up to the samples; where those begin."""
        head = self._held
        if len(head) >= 12 and (head[:4] != b"RIFF" or head[8:12] != b"WAVE"):
            raise ValueError("no WAV")
        at = 12
        while len(head) >= at + 8:
            kind, size = struct.unpack_from("<4sI", head, at)
            at += 8
            if kind == b"data":
                if not self.rate:
                    raise ValueError("no format")
                self._begun = True
                return at
            if len(head) < at + size:
                break
            if kind == b"fmt ":
                self._read_format(head[at : at + size])
            at += size + size % 2
        return 0

    def _read_format(self, chunk: bytes) -> None:
        if len(chunk) < 16:
            raise ValueError("no format")
        form, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", chunk)
        if form not in (PCM, EXTENSIBLE) or channels != 1 or bits != 16 or not rate:
            raise ValueError("not 16 bit mono")
        self.rate = rate
