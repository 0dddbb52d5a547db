"""The gateway's whole application in the test's own process: its routes, sockets and threads, and no other service."""

import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient, WebSocketTestSession
from starlette.types import Receive, Scope, Send

from harness.channel import PATIENCE_S
from services.gateway.api.app import make_gateway_app
from services.gateway.channel.scene_store import FILE as SCENE_FILE
from services.gateway.service import Gateway
from shared.config.settings import Settings
from shared.scene import Scene

HOST = "127.0.0.1:8750"


class GatewayApp:
    """The application with a client on its loopback address.

    bearer: the header with the operator's token. gateway: the object that the routes use.
    """

    def __init__(self, client: TestClient, gateway: Gateway, token: str) -> None:
        self.client, self.gateway, self.token = client, gateway, token
        self.bearer = {"Authorization": f"Bearer {token}"}
        self.channel = f"/api/v1/channels/{gateway.settings.channel}"

    @contextmanager
    def socket(self, path: str, **headers: str) -> Iterator[WebSocketTestSession]:
        """Open a WebSocket to a path of the application; at the end, wait until its route has ended."""
        session = self.client.websocket_connect(f"ws://{HOST}{path}", headers=headers)
        app, ended = session.app, threading.Event()

        async def whole(scope: Scope, receive: Receive, send: Send) -> None:
            try:
                await app(scope, receive, send)
            finally:
                ended.set()

        session.app = whole
        with session:
            try:
                yield session
            finally:
                session.close()
                assert ended.wait(PATIENCE_S), "the route goes on without its page"

    def get(self, path: str, **headers: str) -> Any:
        """Return the JSON of a route, requested with the token."""
        answer = self.client.get(path, headers=self.bearer | headers)
        answer.raise_for_status()
        return answer.json()

    def said(self) -> list[str]:
        """Return the sentences of the console's log."""
        return [event.text for event in self.gateway.event_log.events()]


@contextmanager
def gateway_app(scene: Scene | None = None, **settings: Any) -> Iterator[GatewayApp]:
    """Run the gateway's application in a new home. scene: saved scene that it finds there."""
    with tempfile.TemporaryDirectory(prefix="studio-", dir="/tmp") as folder:
        made = Settings(home=Path(folder) / "home", run_root=Path(folder) / "run", **settings)
        made.run_dir.mkdir(parents=True)
        if scene:
            scene.save(made.run_dir / SCENE_FILE)
        app = make_gateway_app(made, lambda: None)
        with TestClient(app, base_url=f"http://{HOST}", follow_redirects=False) as client:
            yield GatewayApp(client, app.state.gateway, app.state.token)
