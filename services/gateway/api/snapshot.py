"""The channel's state as one object, from which the console draws everything it shows of the channel."""

import re
from dataclasses import replace
from pathlib import Path

from publishing.token import missing_settings
from services.gateway.channel.health import delay_of
from services.gateway.models.audience import AudienceState, WatchLinkState
from services.gateway.models.channel import (
    PREVIEW_MODES,
    ChannelState,
    CleanFeed,
    EngineState,
    LiveKitState,
    Outputs,
    PreviewSent,
    PreviewState,
    PreviewViewers,
    ProgramState,
    RecordState,
    RtmpState,
    Services,
)
from services.gateway.models.library import AvatarRow, DriverRow, EngineQuality, EngineRow
from services.gateway.models.sessions import SessionsShown, SessionStatus
from services.gateway.models.speech import SpeechState
from services.gateway.service import Gateway
from shared.avatar.manifest import read_avatar_manifest
from shared.avatar.model import NAME, avatars_folder, list_avatars
from shared.driver_ref import DriverKind, DriverRef
from shared.errors import StudioError
from shared.media.reader import source_title
from shared.runtime.clock import now
from shared.runtime.files import text_path
from shared.runtime.shown_text import one_line
from shared.scene import Scene
from shared.uploaded_driver import LONGEST_TITLE, TITLE_SUFFIX, UPLOAD, upload_title

LONGEST_REASON = 500  # characters
RECORDING = re.compile(r"[a-z0-9][a-z0-9-]{0,19}-\d{8}-\d{6}(-\d{1,4})?")
# Suffixes of uploads that are not recorded motion; a file with another suffix is stored with the first.
MEDIA_SUFFIXES = (".media", ".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v")


def snapshot(gateway: Gateway) -> ChannelState:
    """Return the channel's current state. Must run in the event loop; reads two small folders."""
    return ChannelState(
        channel=gateway.settings.channel,
        on_air_state=gateway.health.word,
        since=gateway.health.since,
        started=gateway.started,
        rate=float(gateway.settings.rate),
        scene=shown_scene(gateway),
        avatars=avatars(gateway),
        engines=engine_rows(gateway),
        engine=engine(gateway),
        drivers=drivers(gateway),
        services=Services(**gateway.health.rows()),
        program=program(gateway),
        speech=speech_state(gateway),
        outputs=Outputs(
            preview=preview(gateway), record=recording_state(gateway), livekit=livekit(gateway), rtmp=rtmp(gateway)
        ),
        clean_feed=clean_feed(gateway),
        sessions=sessions(gateway),
        audience=audience(gateway),
        log=gateway.event_log.events(),
    )


def shown_scene(gateway: Gateway) -> Scene:
    """Return the scene without paths and passwords, which must not leave this machine."""
    scene = gateway.scene_store.scene
    return replace(
        scene,
        driver=shown_driver(gateway, scene.driver),
        recording=Path(scene.recording).name,
        driver_image=gateway.driver_image(),
    )


def sessions(gateway: Gateway) -> SessionsShown | None:
    """Return the running sessions, None if sessions are not allowed here."""
    board = gateway.sessions
    if not board.allowed:
        return None
    room = board.capacity()
    running = [SessionStatus.of(kept) for kept in board.sessions() if not kept.ended]
    return SessionsShown(running=running, free=room.free, reason=room.reason)


def avatars(gateway: Gateway) -> list[AvatarRow]:
    """Return the avatars: finished ones, damaged ones with the reason, then those being built."""
    home, rows = gateway.settings.home, []
    for name in filter(NAME.fullmatch, list_avatars(home)):
        rights = kind = unavailable = ""
        try:
            manifest = read_avatar_manifest(avatars_folder(home) / name)
            rights, kind = manifest.rights, manifest.plate.kind
        except StudioError as error:
            unavailable = one_line(str(error), LONGEST_REASON)
        rows.append(AvatarRow(name=name, rights=rights, kind=kind, unavailable=unavailable, building=None))
    building = dict(gateway.builds)
    # An avatar that is being built again, with another still, is listed once.
    rows = [row for row in rows if row.name not in building]
    rows += [
        AvatarRow(name=name, rights="", kind="", unavailable="", building=progress)
        for name, progress in building.items()
    ]
    return rows


def engine_rows(gateway: Gateway) -> list[EngineRow]:
    """Return the engines that the generator reports, each with the JSON schema of its options."""
    reported = gateway.health.service_facts("generator").get("engines")
    rows = []
    if isinstance(reported, dict):
        for name, about in reported.items():
            about = about if isinstance(about, dict) else {}
            schema, suffixes, modes = (about.get(key) for key in ("options", "template_suffixes", "modes"))
            row = EngineRow(
                name=str(name),
                title=str(about.get("title", "")),
                options=schema if isinstance(schema, dict) else {},
                modes=[str(each) for each in modes] if isinstance(modes, list) else [],
                template_suffixes=[str(each) for each in suffixes] if isinstance(suffixes, list) else [],
                terms=str(about.get("terms", "")),
                unavailable=str(about.get("unavailable", "")),
            )
            rows.append(row)
    return rows


def engine(gateway: Gateway) -> EngineState:
    """Return the current quality of the engine on air, and its delay from motion to face with a minute of history."""
    facts = gateway.health.service_facts("generator")
    at = facts.get("quality")
    quality = isinstance(at, dict) and EngineQuality(name=str(at.get("name", "")), title=str(at.get("title", "")))
    return EngineState(quality=quality or None, delay=delay_of(facts), delay_history=gateway.health.delays())


NO_SAMPLE = "The sample clip is not made yet; `studio setup` makes it."


def drivers(gateway: Gateway) -> list[DriverRow]:
    """Return the drivers that may be chosen, with the reason for each that is not available."""
    missing = not (drivers_folder(gateway.settings.home) / "sample.mp4").exists()
    rows = [_driver("sample", "Sample clip", unavailable=NO_SAMPLE if missing else "")]
    reported = gateway.health.service_facts("capture").get("cameras")
    cameras = [n for n in reported if type(n) is int] if isinstance(reported, list) else []
    rows += [_driver(f"camera:{n}", f"Camera {n}") for n in cameras]
    if not cameras:
        reason = "No camera is connected to this machine; plug one in, or use this browser's."
        rows.append(_driver("camera:0", "Camera", unavailable=reason))
    rows.append(_driver("browser", "This browser's camera"))
    rows.append(_driver("microphone", "This browser's microphone"))
    rows.append(_driver("speech", "Speech"))
    started, scene = gateway.scene_store.as_started, gateway.scene_store.scene.driver
    if started not in {row.word for row in rows}:
        rows.append(_driver("as-started", f"{driver_title(started)} (as started)", _detail(started)))
    for path in uploads(gateway.settings.home):
        rows.append(_driver(f"upload:{path.stem}", upload_title(path), _detail(uploaded_driver(path))))
    if shown_driver(gateway, scene) not in {row.word for row in rows}:
        rows.append(_driver(shown_driver(gateway, scene), driver_title(scene), _detail(scene)))
    return rows


def _driver(word: str, title: str, detail: str = "", unavailable: str = "") -> DriverRow:
    return DriverRow(word=word, title=title, detail=detail, unavailable=unavailable)


def _detail(driver: str) -> str:
    return "recorded motion" if DriverRef.of_scene(driver).template else ""


def shown_driver(gateway: Gateway, driver: str) -> str:
    """Return the API's word for a scene's driver, without paths and passwords, which must not leave this machine."""
    ref = DriverRef.of_scene(driver)
    if driver == gateway.scene_store.as_started and ref.kind in (DriverKind.FILE, DriverKind.ADDRESS):
        return "as-started"
    if ref.path:
        return f"upload:{ref.path.stem}" if ref.path.parent == drivers_folder(gateway.settings.home) else "as-started"
    return _without_password(ref)


def driver_title(driver: str) -> str:
    """Return the title of a driver, for the console."""
    ref = DriverRef.of_scene(driver)
    if ref.path:
        return upload_title(ref.path) if UPLOAD.fullmatch(ref.path.stem) else one_line(ref.path.name, LONGEST_TITLE)
    return _without_password(ref)


def _without_password(ref: DriverRef) -> str:
    scheme, separator, _ = ref.word.partition("://")
    try:
        return one_line(source_title(ref.word) if separator else ref.word)
    except ValueError:  # a saved scene may hold an invalid address
        return scheme + separator


def drivers_folder(home: Path) -> Path:
    """Return the folder of uploaded drivers."""
    return home / "drivers"


def uploads(home: Path) -> list[Path]:
    """Return the uploaded drivers, oldest first."""
    found = []
    try:
        for path in drivers_folder(home).glob("*"):
            if (
                UPLOAD.fullmatch(path.stem)
                and path.suffix != TITLE_SUFFIX
                and path.name.isprintable()
                and path.is_file()
            ):
                found.append((path.stat().st_mtime, path))
    except OSError:
        pass  # a file was just removed, or the folder cannot be read: return what was found
    return [path for _, path in sorted(found)]


def uploaded_driver(path: Path) -> str:
    """Return the driver word that a scene uses for an uploaded file.

    A file without a media suffix is recorded motion; it was checked on upload.
    """
    return DriverRef.of_file(path, recorded=path.suffix not in MEDIA_SUFFIXES).word


def recordings_folder(home: Path) -> Path:
    """Return the folder of recordings that were started from the console."""
    return home / "recordings"


def recordings(home: Path) -> list[Path]:
    """Return the finished and running recordings, newest first."""
    found = [path for path in recordings_folder(home).glob("*.mp4") if RECORDING.fullmatch(path.stem)]
    return sorted(found, key=lambda path: path.stem, reverse=True)


def program(gateway: Gateway) -> ProgramState:
    """Return the state of the program: the frame on air, sound level and stalls."""
    last, feed = gateway.feed.last, gateway.feed
    present = gateway.health.service_facts("capture").get("present")
    return ProgramState(
        width=last.width if last else 0,
        height=last.height if last else 0,
        avatar=last.avatar if last else "",
        state=last.state if last else "",
        age=round((now() - feed.heard) / 1e6, 2) if last else None,
        level=round(feed.level, 3),
        repeated=feed.repeated["frame"],
        by_voice=gateway.health.by_voice(gateway.scene_store.scene),
        by_template=gateway.scene_store.scene.driver_ref.template is not None,
        voice_delay_ms=gateway.voice_delay() / 1000,
        stall=round(feed.stall() / 1000, 1),
        present=present if isinstance(present, bool) else None,
    )


def speech_state(gateway: Gateway) -> SpeechState:
    """Return the state of the speech queue: current, waiting and last finished utterances."""
    return SpeechState.model_validate(gateway.speech.as_dict())


def preview(gateway: Gateway) -> PreviewState:
    """Return the preview's viewers and the data rate per viewer for each mode, also for modes without viewers."""
    sizes, rate = gateway.preview.sizes, float(gateway.settings.rate)
    totals = gateway.audience.totals(operator=True)
    return PreviewState(
        viewers=PreviewViewers(**gateway.audience.watching()),
        bytes_per_second={mode: round(sizes[mode] * rate) for mode in PREVIEW_MODES if mode in sizes},
        sent=PreviewSent(**totals.sent),
        dropped=totals.dropped,
    )


def audience(gateway: Gateway) -> AudienceState:
    """Return the watch links and the numbers of their viewers."""
    totals, watching = gateway.audience.totals(operator=False), gateway.seats.watching()
    rows = [WatchLinkState(**link.model_dump(), watching=watching[link.id]) for link in gateway.seats.links.links()]
    return AudienceState(
        viewers=watching.total(),
        most=gateway.seats.most,
        bytes=sum(totals.sent.values()),
        dropped=totals.dropped,
        links=rows,
    )


def recording_state(gateway: Gateway) -> RecordState:
    """Return the state of the recording, with its id if the API can serve it."""
    path = text_path(gateway.recorder.path)
    fetchable = path.parent == recordings_folder(gateway.settings.home) and RECORDING.fullmatch(path.stem)
    return RecordState(**gateway.recorder.state.as_dict(), id=path.stem if fetchable else "", name=path.name)


def livekit(gateway: Gateway) -> LiveKitState:
    """Return the state of publishing to LiveKit, with the reason if it is not possible."""
    settings = gateway.settings
    return LiveKitState(**gateway.livekit.state.as_dict(), room=settings.room, unavailable=missing_settings(settings))


def rtmp(gateway: Gateway) -> RtmpState:
    """Return the state of the RTMP push, with the parts of its address that are not secret."""
    push = gateway.rtmp
    unavailable = "" if push.shown else "There is no address: set rtmp_url in studio.toml, or STUDIO_RTMP_URL."
    return RtmpState(**push.state.as_dict(), address=push.shown, unavailable=unavailable)


def clean_feed(gateway: Gateway) -> CleanFeed:
    """Return the right by which outputs may omit the label, or the reason why they may not."""
    right = gateway.settings.clean_feed_right.strip()
    why = "A frame without the AI label needs a stated right: set clean_feed_right to the licence or the reason."
    return CleanFeed(right=right, unavailable="" if right else why)
