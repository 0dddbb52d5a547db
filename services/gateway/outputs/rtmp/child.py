"""The network part of an RTMP push, as a separate process: sends FLV from standard input to an RTMP address.

FFmpeg's calls block in C for as long as the peer keeps them waiting, during the handshake and later. A thread blocked
there can be neither stopped nor abandoned, but a process can always be killed. This process has no other task, so
killing it loses little.

`python -m services.gateway.outputs.rtmp.child`: the first line of standard input is the address, which therefore does
not appear in the process list. Prints one JSON object per line: {"ready"} before connecting, {"open"} when the receiver
has accepted the stream, {"acked": bytes acknowledged by the receiver} while it runs, {"error": kind} on failure.
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
    """Send the FLV on standard input to the address in its first line; returns the exit code."""
    signal_on_parent_death(signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # on Ctrl-C the gateway stops this process itself
    av.logging.set_level(None)  # FFmpeg's messages may contain the stream key
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
    """Return the first line, without reading a byte beyond it."""
    line = b""
    while (byte := source.read(1)) and byte != b"\n":
        line += byte
    return line.decode()


def _report() -> None:
    """Report periodically how many bytes the receiver's machine has acknowledged."""
    while True:
        time.sleep(REPORT_PERIOD_S)
        acked = _acked()
        if acked is not None:
            send_report(acked=acked)


def _acked() -> int | None:
    # The process has a single socket, but FFmpeg owns it and does not expose it.
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
    """Print one report line for the gateway."""
    print(json.dumps(words), flush=True)


if __name__ == "__main__":
    sys.exit(main())
