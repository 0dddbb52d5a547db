"""The studio whose sessions bots ask for: a real gateway without a channel, and the two processes beside it."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from services.local.livekit_server import LiveKitServer
from tests.support.running.gateway import ROOT, GatewayStudio, studio


class BotStudio:
    """A gateway with the two processes that serve sessions."""

    def __init__(self, gateway: GatewayStudio, server: LiveKitServer) -> None:
        self.gateway, self.server = gateway, server
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        for name in ("sessions", "faces"):
            self.start(name)

    def start(self, name: str) -> None:
        command = {"sessions": ["services.sessions"], "faces": ["services.generator", "--sessions"]}[name]
        environment = {key: value for key, value in os.environ.items() if not key.startswith("STUDIO_")}
        environment |= self.gateway.settings.environment(secrets=False)
        self.processes[name] = subprocess.Popen([sys.executable, "-m", *command], cwd=ROOT, env=environment)

    def close(self) -> None:
        for process in self.processes.values():
            process.send_signal(signal.SIGTERM)
        for process in self.processes.values():
            process.wait(10)


@contextmanager
def bot_studio(server: LiveKitServer, small_home: Path) -> Iterator[BotStudio]:
    """With the avatar `whole`, which is the small home's."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="s", dir="/tmp")))
        # As many as are asked for, however busy the machine is with other tests.
        allowed = {"allowed_livekit_urls": [server.url], "max_sessions": 20}
        gateway = stack.enter_context(studio(folder, sessions=allowed))
        (gateway.settings.home / "avatars" / "whole").symlink_to(small_home / "avatars" / "sample")
        gateway.channel.stop()  # it takes a share of the processor, and sessions have nothing to do with it
        made = BotStudio(gateway, server)
        stack.callback(made.close)
        yield made
