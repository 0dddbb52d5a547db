"""`python -m services.gateway [--fd N]`: run a channel's gateway on an inherited listening socket, or on a new one."""

import argparse
import asyncio
import socket
import sys

import uvicorn

from services.gateway.api.app import make_gateway_app
from services.gateway.api.connections import BoundedHttp
from shared.config.settings import Settings, load_settings
from shared.errors import StudioError
from shared.runtime.descriptors import raise_descriptor_limit
from shared.runtime.logs import set_up_logs
from shared.runtime.stop_signals import SERVICE, StopSignals

MAX_MESSAGE_BYTES = 2 << 20  # longest WebSocket message of a page; a camera frame is at most 1 MB
BACKLOG = 64
# Seconds after which Python switches to a waiting thread. With the default of 5 ms and 200 viewers connecting and
# disconnecting, the thread that receives the program was blocked for up to 28 ms; with this value for 10 to 15 ms.
SWITCH_INTERVAL_S = 0.001


def gateway_socket(settings: Settings, fd: int | None) -> socket.socket:
    """Return the inherited listening socket, which outlives a killed gateway, or a new one. Raises StudioError."""
    if fd is not None:
        return socket.socket(fileno=fd)
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[
            0
        ]
        made = socket.socket(family, kind, protocol)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
        made.listen(BACKLOG)
    except OSError as error:
        raise StudioError(
            f"Port {settings.port} of {settings.host} cannot be used ({error.strerror}); set another."
        ) from None
    return made


async def serve(settings: Settings, sock: socket.socket) -> None:
    """Serve until SIGTERM or SIGINT, or until the bus thread has ended."""

    def end() -> None:
        server.should_exit = True

    app = make_gateway_app(settings, end)
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            http=BoundedHttp,
            log_config=None,
            access_log=False,
            ws_max_size=MAX_MESSAGE_BYTES,
            ws_per_message_deflate=False,  # compression adds delay and does not make JPEG smaller
            timeout_graceful_shutdown=1,
            server_header=False,
            proxy_headers=False,
        )
    )
    # uvicorn raises the signal again after an orderly shutdown; nothing is left to do then.
    StopSignals(SERVICE, end)
    await server.serve(sockets=[sock])


def main() -> int:
    """Run the gateway until it is stopped; returns the exit code."""
    parser = argparse.ArgumentParser(prog="services.gateway", description=__doc__)
    parser.add_argument("--fd", type=int, help="number of an inherited listening socket")
    arguments = parser.parse_args()
    try:
        settings = load_settings()
        set_up_logs("gateway", settings.log_level)
        raise_descriptor_limit()
        sock = gateway_socket(settings, arguments.fd)
        settings.run_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        asyncio.run(serve(settings, sock))
    except StudioError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
