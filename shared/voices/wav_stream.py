"""Reads a WAV file while it is being written: sizes in its header are ignored, blocks may have any length."""

import struct

PCM, EXTENSIBLE = 1, 0xFFFE
MAX_HEADER_BYTES = 64 << 10  # size of everything before the samples


class WavStream:
    """Extracts the samples from the bytes of a WAV file.

    rate: in Hz, 0 until the header was read. Raises ValueError for anything but 16 bit mono PCM.
    """

    def __init__(self) -> None:
        self.rate = 0
        self._held = b""
        self._begun = False

    def feed(self, data: bytes) -> bytes:
        """Add bytes of the file and return the samples among them, 16 bit little-endian mono."""
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
        """Read the chunks that are complete, up to the samples; return the position of the samples, 0 before that."""
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
