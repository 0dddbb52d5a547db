"""The `studio` command: parses arguments and calls the services."""

import codecs
import io
import json
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cli.avatars import avatars
from cli.bench import bench
from cli.engines import list_engines
from cli.jobs import jobs
from cli.motion import motion
from cli.options import EngineOption, HomeOption, JsonOption, QualityOption, given_options
from cli.progress import progress_bar, stages
from cli.voices import BurnOption, TextOption, VoiceOption, driver_file, list_voices
from cli.weights import app as weights
from shared.config.conversation import ConversationSettings
from shared.config.settings import Settings, load_settings
from shared.errors import StudioError
from shared.runtime.logs import set_up_logs
from shared.runtime.private_files import as_open_as_umask, keep_files_private
from shared.voices.registry import settings_of_voices

SAMPLES = ("sample", "sample-video")  # avatars that are built when a command asks for them
app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="A virtual host, on air or rendered.",
    pretty_exceptions_enable=False,
)
app.add_typer(avatars, name="avatar")
app.add_typer(weights, name="weights")
app.add_typer(jobs, name="jobs")
app.add_typer(motion, name="motion")
app.command("engines")(list_engines)
app.command("voices")(list_voices)
app.command("bench")(bench)
out = Console(markup=False)
err = Console(stderr=True, markup=False)


@app.command()
def live(
    avatar: Annotated[str | None, typer.Option(help="Avatar to start with.")] = None,
    driver: Annotated[
        str | None,
        typer.Option(
            help="sample, browser, microphone, speech, camera:N, a video file (a face moves the host) or a sound file "
            "(a voice does), recorded motion (.npz), or an rtsp/http URL."
        ),
    ] = None,
    engine: Annotated[str | None, typer.Option(help="Engine to start with.")] = None,
    option: EngineOption = None,
    channel: Annotated[str | None, typer.Option(help="Name of the live program.")] = None,
    host: Annotated[str | None, typer.Option(help="Address the console listens on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port of the console.")] = None,
    fps: Annotated[float | None, typer.Option(help="Frames a second.")] = None,
    record: Annotated[Path | None, typer.Option(help="Record the program into this MP4.")] = None,
    livekit: Annotated[
        bool | None,
        typer.Option(
            "--livekit/--no-livekit",
            help="Publish to LiveKit; without LIVEKIT_URL, to a server that the studio starts.",
        ),
    ] = None,
    duration: Annotated[float | None, typer.Option(help="End after this many seconds on air.")] = None,
    once: Annotated[bool, typer.Option("--once", help="Play a file driver once instead of looping it.")] = False,
    label: Annotated[bool | None, typer.Option("--label/--no-label", help='The "AI-generated" label.')] = None,
    burn_captions: Annotated[
        bool | None,
        typer.Option(
            "--burn-captions/--no-burn-captions", help="Draw captions of spoken texts into recording, RTMP and LiveKit."
        ),
    ] = None,
    open_page: Annotated[bool, typer.Option("--open/--no-open", help="Open the console in a browser.")] = True,
    home: HomeOption = None,
) -> None:
    """Put a host on air."""
    from cli.live import run_live

    settings = load_settings(
        avatar=avatar,
        driver=driver,
        engine=engine,
        options=given_options(option) or None,
        channel=channel,
        host=host,
        port=port,
        fps=fps,
        record=record,
        livekit=livekit,
        loop=False if once else None,
        label=label,
        burn_captions=burn_captions,
        home=home,
    )
    set_up_logs("studio", settings.log_level)
    port_asked = Settings.origin("port", {"port": port}) != "default"
    run_live(settings, port_asked=port_asked, duration=duration, open_page=open_page, console=out)


@app.command()
def render(
    to: Annotated[Path, typer.Option("--out", help="File to write: .mp4, .mov for prores, .webm for vp9.")],
    driver: Annotated[
        Path | None,
        typer.Option(help="Video whose face moves the host, sound whose voice moves it, or recorded motion (.npz)."),
    ] = None,
    text: TextOption = None,
    voice: VoiceOption = "",
    burn_captions: BurnOption = False,
    avatar: Annotated[str | None, typer.Option(help="Avatar to animate.")] = None,
    engine: Annotated[str | None, typer.Option(help="Engine to use.")] = None,
    quality: QualityOption = "",
    option: EngineOption = None,
    fps: Annotated[
        str | None, typer.Option(help="Frames a second, such as 25 or 29.97; by default the driver's.")
    ] = None,
    size: Annotated[
        str | None, typer.Option(help="Size of the frames, such as 1920x1080; by default the plate's.")
    ] = None,
    codec: Annotated[str, typer.Option(help="h264, hevc, prores, or vp9 with the host cut out.")] = "h264",
    label: Annotated[bool | None, typer.Option("--label/--no-label", help='The "AI-generated" label.')] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the estimated cost without rendering.")] = False,
    home: HomeOption = None,
) -> None:
    """Render a driver file, or a text that a voice speaks, on an avatar, in the foreground."""
    from services.local.samples import ensure_samples
    from services.renderer.job.cost import cost_lines, job_cost
    from services.renderer.job.foreground import render_file as run
    from services.renderer.job.submit import JobRequest
    from shared.avatar.model import avatar_folder, load_avatar
    from shared.media.output_spec import OutputSpec, read_size

    settings = load_settings(avatar=avatar, engine=engine, label=label, home=home)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # like Ctrl-C, SIGTERM leaves no partial files
    wanted = {"codec": codec, "fps": fps, "size": read_size(size) if size else None, "label": settings.label}
    output = OutputSpec.from_dict(wanted | {"burn_captions": burn_captions})
    output.check_path(to)
    given = driver_file(driver, text, voice, settings)
    if dry_run:
        if settings.avatar in SAMPLES:
            with progress_bar() as bar:
                ensure_samples(settings.home, stages(bar))
        folder = avatar_folder(settings.home, settings.avatar)
        request = JobRequest(folder, given.path, settings.engine, output=output, options=given_options(option, quality))
        for line in cost_lines(job_cost(request, settings)):
            out.print(line, highlight=False)
        return
    notes: list[str] = []
    with progress_bar() as bar:
        if settings.avatar in SAMPLES:
            ensure_samples(settings.home, stages(bar))
        task = bar.add_task(f"render {to.name}", total=None)
        count = run(
            load_avatar(avatar_folder(settings.home, settings.avatar)),
            given.path,
            to,
            captions=given.captions,
            engine=settings.engine,
            engines=settings.engines,
            options=given_options(option, quality),
            rate=settings.rate,
            output=output,
            idle_after=settings.idle_after,
            segment_seconds=settings.segment_seconds,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
            told=notes.append,
        )
    for note in notes:
        out.print(note, markup=False, highlight=False)
    out.print(f"{to}: {count} frames")


@app.command()
def worker(
    engines: Annotated[
        str | None, typer.Option(help="Engines to render with, separated by commas; by default all that run here.")
    ] = None,
    gpu: Annotated[int | None, typer.Option(min=0, help="Number of the GPU to use.")] = None,
    redis: Annotated[
        str | None, typer.Option(help="Redis that holds the queue; by default REDIS_URL, else the studio's own.")
    ] = None,
    jobs: Annotated[str | None, typer.Option(help="Where the jobs are: a folder or an fsspec URL.")] = None,
    metrics: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Serve Prometheus metrics on this port of the loopback interface."),
    ] = None,
    home: HomeOption = None,
) -> None:
    """Render jobs until Ctrl-C, which returns the unit in progress to the queue; a second Ctrl-C stops immediately."""
    from services.local.redis_server import RedisKeeper
    from services.renderer.worker.supervisor import WorkerOptions, run_worker

    settings = load_settings(home=home, redis_url=redis, jobs=jobs)
    set_up_logs("worker", settings.log_level)
    names = tuple(name.strip() for name in (engines or "").split(",") if name.strip())
    run_worker(settings, WorkerOptions(names, gpu, metrics), RedisKeeper(settings))


@app.command()
def setup(home: HomeOption = None) -> None:
    """Download missing or damaged face models; build the sample avatars and the sample driver."""
    from services.local.samples import ensure_samples
    from shared.face.networks.install import install_networks

    with as_open_as_umask():
        install_networks()
    with progress_bar() as bar:
        ensure_samples(load_settings(home=home).home, stages(bar))


@app.command()
def doctor(as_json: JsonOption = False, home: HomeOption = None) -> None:
    """Show what this machine can do and what is missing."""
    from cli.doctor import find_problems

    findings = find_problems(load_settings(home=home))
    if as_json:
        print(json.dumps([f.as_dict() for f in findings]))
    else:
        table = Table("what", "state", "detail", box=None)
        marks = {"ok": Text("ok", "green"), "missing": Text("missing", "yellow"), "failed": Text("failed", "red")}
        for finding in findings:
            table.add_row(finding.what, marks[finding.state], finding.detail)
        out.print(table)
    if any(f.state == "failed" for f in findings):
        raise typer.Exit(1)


@app.command()
def config(
    as_json: JsonOption = False,
    markdown: Annotated[
        bool,
        typer.Option("--markdown", help="Print the page docs/settings.md: defaults, without this machine's values."),
    ] = False,
) -> None:
    """Show every setting, its value and where the value comes from."""
    from engines.catalog import settings_of_engines  # imported here because it loads the codecs

    settings = load_settings()
    if markdown:
        from cli.settings_page import settings_page

        print(settings_page(settings), end="")
        return
    rows = [
        (name, value, Settings.origin(name), Settings.model_fields[name]) for name, value in settings.shown().items()
    ]
    for each in (*settings_of_engines(settings), *settings_of_voices(), ConversationSettings.load()):
        values = each.model_dump(mode="json")
        rows += [(f"{each.TABLE}.{k}", v, each.origin(k), type(each).model_fields[k]) for k, v in values.items()]
    if as_json:
        print(json.dumps({name: {"value": value, "from": where} for name, value, where, _ in rows}))
        return
    table = Table("setting", "value", "from", "meaning", box=None)
    for name, value, where, field in rows:
        table.add_row(name, str(value), where, field.description or "")
    out.print(table)


def main() -> None:
    """Run the command. A StudioError, which the user can resolve, is printed as one sentence; the exit code is 1."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal without UTF-8 cannot print some of our characters: they become "?". With UTF-8 only bytes of
            # file names that are not valid text cannot be printed: they are shown as escapes.
            utf8 = codecs.lookup(stream.encoding).name == "utf-8"
            stream.reconfigure(errors="backslashreplace" if utf8 else "replace")
    keep_files_private()
    set_up_logs("studio", "warning")  # a command does not print what services log below a warning
    try:
        app(standalone_mode=True)
    except StudioError as error:
        err.print(f"studio: {error}", style="red", markup=False, highlight=False)
        sys.exit(1)


if __name__ == "__main__":
    main()
