"""What a connection may cost before it has shown a token: how many there are, and how long one may be half a request.

uvicorn bounds neither: a peer that connects and says nothing holds a file descriptor for good, and a process that has
none left cannot open its recording.
"""

import asyncio
import resource

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

MAX_CONNECTIONS = 1000  # at once, pages and viewers included
RESERVED_DESCRIPTORS = 256  # for recordings, outputs, sockets of the bus and libraries
HEADER_WAIT_S = 10.0  # for a request's head, and for a refused request's body
_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain; charset=utf-8\r\nconnection: close\r\n"
    b"retry-after: 5\r\ncontent-length: 51\r\n\r\nToo many connections at once; close some, try again"
)


def most_connections() -> int:
    """How many connections there may be under the process's limit of descriptors."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return MAX_CONNECTIONS
    return max(16, min(MAX_CONNECTIONS, soft - RESERVED_DESCRIPTORS))


class BoundedHttp(H11Protocol):
    """HTTP/1.1 of uvicorn; refuses connections above the bound and closes those that stay half a request."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A peer has connected."""
        assert isinstance(transport, asyncio.Transport)
        super().connection_made(transport)
        if len(self.connections) > most_connections():
            transport.write(_FULL)
            transport.close()
            return
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Take in what a peer has sent."""
        if not self.transport.is_closing():
            super().data_received(data)
            self._watch()

    def on_response_complete(self) -> None:
        """Note that a response was sent."""
        super().on_response_complete()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._stop_watch()
        super().connection_lost(exc)

    def _watch(self) -> None:
        """Begin the wait where the peer owes a head or the rest of a body that is of no use.

        End it where it does not.
        """
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
