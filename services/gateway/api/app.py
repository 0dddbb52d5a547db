"""The ASGI application: all routes, the console's pages, the middleware and the error answers."""

import asyncio
import importlib.metadata
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from services.gateway.api import metrics, sockets, watch_socket
from services.gateway.api.openapi import describe_answers
from services.gateway.api.routes import (
    channel,
    conversation,
    conversation_socket,
    job_files,
    jobs,
    library,
    recordings,
    sessions,
    speech,
    speech_socket,
    viewers,
    watch_links,
)  # fmt: skip
from services.gateway.api.security import HEADERS, Guard
from services.gateway.api.uploads import sweep_uploads
from services.gateway.models.base import Refusal, Version
from services.gateway.service import Gateway
from shared.config.settings import Settings
from shared.config.token import operator_token

WEB = Path(__file__).parents[1] / "web"
JUDGE_PERIOD_S = 0.25


def make_gateway_app(settings: Settings, ended: Callable[[], None]) -> FastAPI:
    """Return the application, whose lifespan starts and stops a gateway. `ended` is called when the bus thread ends."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        gateway = Gateway(settings, ended)
        app.state.gateway = gateway
        await asyncio.to_thread(sweep_uploads, settings.home)
        gateway.start()
        gateway.run_always(gateway.speech.run)
        gateway.run_always(gateway.conversation.run)
        gateway.run_always(gateway.jobs.run)
        gateway.run_always(gateway.portraits.keep_swept)
        gateway.run_always(partial(_judge, gateway))
        gateway.run_always(gateway.seats.keep_clear)
        try:
            yield
        finally:
            await gateway.conversation.close()
            gateway.cancel_tasks()
            await asyncio.to_thread(gateway.close)

    app = FastAPI(
        title="Persona Studio",
        version=version(),
        lifespan=lifespan,
        openapi_url="/api/v1/openapi.json",
        docs_url=None,  # FastAPI's own page loads scripts from elsewhere
        redoc_url=None,
        responses={"4XX": {"model": Refusal}},
    )
    app.state.token = operator_token(settings.home)
    app.state.channel = settings.channel
    app.state.tickets = recordings.Tickets()
    app.add_middleware(Guard, settings=settings)
    for router in (
        channel.router,
        library.router,
        recordings.of_channel,
        recordings.router,
        jobs.router,
        job_files.router,
        sessions.router,
        sessions.plugin_router,
        viewers.router,
        viewers.pages,
        watch_links.router,
        watch_links.plates,
        watch_socket.router,
        speech.routes,
        speech.voices_router,
        speech_socket.router,
        conversation.routes,
        conversation.watch_routes,
        conversation_socket.router,
        sockets.router,
    ):
        app.include_router(router)
    _add_pages(app)
    describe_answers(app)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(Exception, _failed)
    return app


async def _judge(gateway: Gateway) -> None:
    while True:
        gateway.health.judge(gateway.scene_store.scene)
        await asyncio.sleep(JUDGE_PERIOD_S)


def version() -> str:
    """Return the installed version, "0" for a source tree that is not installed."""
    try:
        return importlib.metadata.version("persona-studio")
    except importlib.metadata.PackageNotFoundError:
        return "0"


def _add_pages(app: FastAPI) -> None:
    @app.get("/api/v1/version", tags=["open"])
    async def get_version(request: Request) -> Version:
        """Version of the studio and the name of its channel."""
        return Version(version=version(), channel=request.app.state.channel)

    @app.get("/metrics", tags=["open"], response_class=PlainTextResponse)
    async def get_metrics(request: Request) -> Response:
        """Prometheus metrics."""
        return Response(
            await metrics.exposition(request.app.state.gateway),
            media_type="text/plain; version=0.0.4; charset=utf-8",
        )

    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(WEB / "console" / "index.html")

    @app.get("/api/v1/docs", include_in_schema=False)
    async def docs() -> FileResponse:
        return FileResponse(WEB / "docs" / "docs.html")

    app.mount("/web", StaticFiles(directory=WEB), name="web")


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"][1:]) or "body"
    message = "is not a field here" if first["type"] == "extra_forbidden" else str(first["msg"])
    return JSONResponse({"detail": f"'{where[:60]}': {message}."}, 422)


async def _refused(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return JSONResponse({"detail": str(error.detail)}, error.status_code, error.headers)


async def _failed(request: Request, error: Exception) -> JSONResponse:
    # Starlette logs the traceback; this handler runs outside the middleware that adds the headers.
    return JSONResponse(
        {"detail": "The request failed because of an internal error; the studio's log has the details."}, 500, HEADERS
    )
