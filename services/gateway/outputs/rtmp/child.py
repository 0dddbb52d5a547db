"""The network end of an RTMP push, in a process of its own: FLV on standard input goes to an RTMP address.

FFmpeg's calls block in C for as long as a peer likes, during the handshake as well as later, and a thread that is
blocked there can neither be ended nor left behind. A process can always be ended. It has nothing else to do, so that
little is lost with it.

`python -m services.gateway.outputs.rtmp.child`: the first line of standard input is the address, which is thereby in no
list of processes. Prints one JSON object a line: {"ready"} before it connects, {"open"} when the receiver has accepted
the stream, {"acked": bytes the receiver has taken} while it runs, {"error": kind}.
"""

import errno
import io
import json
import os
import signal
import socket
import struct
import sys
import threading
import time

import av
import av.error

from shared.runtime.process import signal_on_parent_death

REPORT_PERIOD_S = 0.5
# Offset of tcpi_bytes_acked in struct tcp_info (linux/tcp.h): 8 bytes, 24 32-bit numbers, two pacing rates.
BYTES_ACKED = struct.Struct("<120xQ")


def main() -> int:
    """Send what comes on standard input to the server that its first line names; returns the exit code."""
    signal_on_parent_death(signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the gateway's to pass on
    av.logging.set_level(None)  # FFmpeg's messages may hold the stream key
    source = os.fdopen(0, "rb", buffering=0)
    address = _line(source)
    threading.Thread(target=_report, daemon=True).start()
    try:
        _copy(source, address)
    except (av.error.FFmpegError, OSError, ValueError) as error:
        send_report(error=_kind(error))
        return 1
    return 0


def _copy(source: io.FileIO, address: str) -> None:
    options = {"flvflags": "no_duration_filesize", "flush_packets": "1"}
    with (
        av.open(source, "r", format="flv", options={"analyzeduration": "1000000"}) as program,
        av.open(address, "w", format="flv", options=options) as receiver,
    ):
        streams = {stream.index: receiver.add_stream_from_template(stream) for stream in program.streams}
        send_report(ready=True)
        receiver.start_encoding()
        send_report(open=True)
        for packet in program.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                receiver.mux(packet)


def _line(source: io.FileIO) -> str:
    """Up to the end of the first line, and not a byte further."""
    line = b""
    while (byte := source.read(1)) and byte != b"\n":
        line += byte
    return line.decode()


def _report() -> None:
    """How far the receiver is: bytes that its machine has acknowledged."""
    while True:
        time.sleep(REPORT_PERIOD_S)
        acked = _acked()
        if acked is not None:
            send_report(acked=acked)


def _acked() -> int | None:
    # The process has one socket, but it is FFmpeg's, which does not hand it out.
    for name in os.listdir("/proc/self/fd"):
        try:
            if not os.readlink(f"/proc/self/fd/{name}").startswith("socket:"):
                continue
            with socket.socket(fileno=os.dup(int(name))) as connection:
                info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, BYTES_ACKED.size)
            return int(BYTES_ACKED.unpack(info)[0])
        except (OSError, struct.error):
            continue
    return None


def _kind(error: Exception) -> str:
    number = getattr(error, "errno", None)
    if number in (errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ETIMEDOUT):
        return "unreachable"
    return "closed" if number in (errno.EPIPE, errno.ECONNRESET) else "refused"


def send_report(**words: object) -> None:
    """One line for the gateway."""
    print(json.dumps(words), flush=True)


if __name__ == "__main__":
    sys.exit(main())
