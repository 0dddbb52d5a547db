"""Limits on connections before authentication: their number, and the time in which a request must arrive.

uvicorn limits neither: a peer that connects and sends nothing would occupy a file descriptor permanently, and a process
that runs out of descriptors cannot open its recording.
"""

import asyncio
import resource

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

MAX_CONNECTIONS = 1000  # simultaneous ones, pages and viewers included
RESERVED_DESCRIPTORS = 256  # kept free for recordings, outputs, the bus's sockets and libraries
HEADER_WAIT_S = 10.0  # seconds in which a request's head, or the rest of a refused request's body, must arrive
_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain; charset=utf-8\r\nconnection: close\r\n"
    b"retry-after: 5\r\ncontent-length: 51\r\n\r\nToo many connections at once; close some, try again"
)


def most_connections() -> int:
    """Return the maximum number of connections under the process's limit of file descriptors."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return MAX_CONNECTIONS
    return max(16, min(MAX_CONNECTIONS, soft - RESERVED_DESCRIPTORS))


class BoundedHttp(H11Protocol):
    """uvicorn's HTTP/1.1 protocol; refuses connections above the maximum and closes those with an overdue request."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Accept a new connection, or answer it with 503 when there are too many."""
        assert isinstance(transport, asyncio.Transport)
        super().connection_made(transport)
        if len(self.connections) > most_connections():
            transport.write(_FULL)
            transport.close()
            return
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Process bytes that the peer sent, and update the deadline."""
        if not self.transport.is_closing():
            super().data_received(data)
            self._watch()

    def on_response_complete(self) -> None:
        """Update the deadline after a response was sent."""
        super().on_response_complete()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the deadline of a closed connection."""
        self._stop_watch()
        super().connection_lost(exc)

    def _watch(self) -> None:
        """Start the deadline while a request's head, or the rest of a refused body, is outstanding; else cancel it."""
        ours, theirs = self.conn.our_state, self.conn.their_state
        owes = theirs is h11.IDLE or (theirs is h11.SEND_BODY and ours is h11.DONE)
        if not owes or self.transport.is_closing():
            self._stop_watch()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(HEADER_WAIT_S, self.transport.close)

    def _stop_watch(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
