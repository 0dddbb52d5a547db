"""A simulated network camera that serves one client at a time with H.264 and G.711 over RTSP (interleaved in TCP).

It sends in real time, and a client joins at the current position of the film.
"""

import base64
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

FPS, SOUND_HZ, VIDEO_HZ = 25, 8000, 90_000
LARGEST_RTP_BYTES = 1400
REQUEST_END = b"\r\n\r\n"


class RtspCamera:
    """A camera that loops the first `seconds` of a film, beginning when the object is created.

    key_frames: frames from one key frame to the next. sound: whether there is an audio track, of silence. sprop:
    whether the session description holds the parameter sets, as with most cameras. opened, refused: number of
    connections that were accepted, and of those closed because there was already a client.
    """

    def __init__(
        self, film: Path, *, seconds: float = 4, key_frames: int = 50, sound: bool = True, sprop: bool = True
    ) -> None:
        self._frames = encoded_frames(film, round(seconds * FPS), key_frames)
        self._sound, self._sprop = sound, sprop
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"rtsp://127.0.0.1:{self._listener.getsockname()[1]}/camera"
        self.opened = self.refused = 0
        self._busy = threading.Lock()
        self._started = time.monotonic()
        threading.Thread(target=self._accept, name="camera", daemon=True).start()

    def close(self) -> None:
        """Accept no further clients."""
        self._listener.shutdown(socket.SHUT_RDWR)  # ends the thread's wait in `accept`, which `close` alone does not
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            if not self._busy.acquire(blocking=False):
                self.refused += 1
                peer.close()
                continue
            self.opened += 1
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer: socket.socket) -> None:
        ended = threading.Event()
        try:
            with peer:
                for method, address, head in requests(peer):
                    line = next(each for each in head.split("\r\n") if each.lower().startswith("cseq"))
                    answer = [f"RTSP/1.0 200 OK\r\n{line}", "Session: 1"]
                    body = ""
                    if method == "OPTIONS":
                        answer += ["Public: DESCRIBE, SETUP, PLAY, TEARDOWN"]
                    elif method == "DESCRIBE":
                        body = self._description()
                        answer += ["Content-Type: application/sdp", f"Content-Length: {len(body)}"]
                    elif method == "SETUP":
                        first = 2 * int(address.rpartition("=")[2])
                        answer += [f"Transport: RTP/AVP/TCP;unicast;interleaved={first}-{first + 1}"]
                    peer.sendall("\r\n".join([*answer, "", body]).encode())
                    if method == "PLAY":
                        threading.Thread(target=self._play, args=(peer, ended), daemon=True).start()
                    if method == "TEARDOWN":
                        return
        except OSError:
            pass
        finally:
            ended.set()
            self._busy.release()

    def _description(self) -> str:
        lines = ["v=0", "o=- 0 0 IN IP4 127.0.0.1", "s=camera", "c=IN IP4 0.0.0.0", "t=0 0"]
        lines += ["m=video 0 RTP/AVP 96", f"a=rtpmap:96 H264/{VIDEO_HZ}"]
        sets = ";sprop-parameter-sets=" + parameter_sets(self._frames[0]) if self._sprop else ""
        lines += [f"a=fmtp:96 packetization-mode=1{sets}", "a=control:trackID=0"]
        if self._sound:
            lines += ["m=audio 0 RTP/AVP 0", f"a=rtpmap:0 PCMU/{SOUND_HZ}", "a=control:trackID=1"]
        return "\r\n".join([*lines, ""])

    def _play(self, peer: socket.socket, ended: threading.Event) -> None:
        counts = [0, 0]
        number = int((time.monotonic() - self._started) * FPS) + 1
        try:
            while not ended.wait(max(0.0, self._started + number / FPS - time.monotonic())):
                stamp = number * VIDEO_HZ // FPS
                pieces = list(payloads(self._frames[number % len(self._frames)]))
                for at, piece in enumerate(pieces, 1):
                    peer.sendall(interleaved(0, counts[0], 96 | 128 * (at == len(pieces)), stamp, piece))
                    counts[0] += 1
                if self._sound:
                    silence = b"\xff" * (SOUND_HZ // FPS)
                    peer.sendall(interleaved(2, counts[1], 0, number * SOUND_HZ // FPS, silence))
                    counts[1] += 1
                number += 1
        except OSError:
            pass


@contextmanager
def rtsp_camera(film: Path, *, key_frames: int = 50, sound: bool = True, sprop: bool = True) -> Iterator[RtspCamera]:
    """Run a camera that loops this film while the context is open."""
    camera = RtspCamera(film, key_frames=key_frames, sound=sound, sprop=sprop)
    try:
        yield camera
    finally:
        camera.close()


def encoded_frames(film: Path, count: int, key_frames: int) -> list[bytes]:
    """Encode a film's first `count` frames and return their H.264 access units with start codes."""
    with av.open(str(film)) as source:
        images = [
            np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
            for frame, _ in zip(source.decode(video=0), range(count), strict=False)
        ]
    height, width = images[0].shape[0] // 2 * 2, images[0].shape[1] // 2 * 2
    encoder = av.CodecContext.create("libx264", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    encoder.time_base, encoder.framerate, encoder.gop_size = Fraction(1, FPS), Fraction(FPS), key_frames
    encoder.options = {"preset": "ultrafast", "tune": "zerolatency", "x264-params": "slices=1:scenecut=0"}
    packets: list[bytes] = []
    for number, image in enumerate(images):
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image[:height, :width]), format="rgb24")
        frame.pts = number
        packets += [bytes(packet) for packet in encoder.encode(frame)]
    return packets + [bytes(packet) for packet in encoder.encode(None)]


def units_of(frame: bytes) -> list[bytes]:
    """Split an access unit with start codes into its NAL units."""
    parts = frame.replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1")
    return [part for part in parts if part]


def parameter_sets(key_frame: bytes) -> str:
    """Return a key frame's SPS and PPS as the value of sprop-parameter-sets: base64, separated by a comma."""
    return ",".join(base64.b64encode(unit).decode() for unit in units_of(key_frame) if unit[0] & 31 in (7, 8))


def payloads(frame: bytes) -> Iterator[bytes]:
    """Yield the RTP payloads of an access unit (RFC 6184): single NAL units, and FU-A fragments of large ones."""
    for unit in units_of(frame):
        if len(unit) <= LARGEST_RTP_BYTES:
            yield unit
            continue
        kind, rest = unit[0], unit[1:]
        pieces = [rest[at : at + LARGEST_RTP_BYTES] for at in range(0, len(rest), LARGEST_RTP_BYTES)]
        for at, piece in enumerate(pieces):
            start, end = 128 * (at == 0), 64 * (at == len(pieces) - 1)
            yield bytes([kind & 0xE0 | 28, start | end | kind & 31]) + piece


def interleaved(channel: int, number: int, kind: int, stamp: int, payload: bytes) -> bytes:
    """Return an RTP packet framed for RTSP over TCP. kind: payload type and marker bit. stamp: RTP timestamp."""
    packet = struct.pack(">BBHII", 128, kind, number & 0xFFFF, stamp & 0xFFFFFFFF, 1 + channel) + payload
    return struct.pack(">BBH", 36, channel, len(packet)) + packet


def requests(peer: socket.socket) -> Iterator[tuple[str, str, str]]:
    """Yield method, address and header text of each request; the client's RTCP reports are skipped."""
    kept = b""
    while True:
        if kept[:1] == b"$":
            length = 4 + int.from_bytes(kept[2:4], "big") if len(kept) >= 4 else 4
            if len(kept) >= max(5, length):
                kept = kept[length:]
                continue
        elif REQUEST_END in kept:
            head, kept = kept.split(REQUEST_END, 1)
            text = head.decode()
            method, address, _ = text.split("\r\n")[0].split(" ")
            yield method, address, text
            continue
        more = peer.recv(65536)
        if not more:
            return
        kept += more
