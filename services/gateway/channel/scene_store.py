"""The scene store: holds the channel's scene and keeps it on disk, so that a restarted gateway continues with it."""

import os
import threading
from collections.abc import Callable
from typing import Any

from services.gateway.channel.event_log import EventLog
from shared.config.settings import Settings
from shared.driver_ref import DriverKind, DriverRef
from shared.runtime.files import path_text
from shared.scene import Scene

FILE = "scene.json"


class SceneStore:
    """Holds the scene and saves each change. Any thread may call `change`; listeners run in that thread."""

    def __init__(self, settings: Settings, event_log: EventLog) -> None:
        self._path = settings.run_dir / FILE
        self._event_log = event_log
        self._lock = threading.Lock()
        self._listeners: list[Callable[[Scene], None]] = []
        started = DriverRef.of_setting(settings.driver)
        if started.kind is DriverKind.UNKNOWN:
            event_log.add("The driver in the settings is not valid; the sample clip is used instead.", "warning")
            started = DriverRef.parse(DriverKind.SAMPLE.value)
        self.as_started = started.word
        kept = Scene.load(self._path)
        if kept is None and os.path.lexists(self._path):
            event_log.add(
                "The saved scene cannot be read; the channel starts with the scene in the settings.", "warning"
            )
        if kept is not None and kept.driver_ref.kind is DriverKind.UNKNOWN:
            event_log.add("The saved driver is not valid; the one in the settings is used instead.", "warning")
            kept = kept.changed(driver=self.as_started)
        self.scene = kept or Scene(
            avatar=settings.avatar,
            engine=settings.engine,
            options=settings.options,
            driver=self.as_started,
            loop=settings.loop,
            label=settings.label,
            burn_captions=settings.burn_captions,
            recording=path_text(settings.record) if settings.record else "",
            rtmp=settings.rtmp_url is not None,
            livekit=settings.livekit,
            record_clean="record" in settings.clean_feed,
            rtmp_clean="rtmp" in settings.clean_feed,
        )

    def add_listener(self, listener: Callable[[Scene], None]) -> None:
        """Call `listener` with the scene now and after each change."""
        self._listeners.append(listener)
        listener(self.scene)

    def change(self, **changes: Any) -> Scene:
        """Change these fields of the scene, save it, call the listeners and return it.

        Raises DriverWordError for a word that names no driver.
        """
        if "driver" in changes:
            DriverRef.parse(changes["driver"])
        with self._lock:
            scene = self.scene.changed(**changes)
            if scene is self.scene:
                return scene
            self.scene = scene
            try:
                scene.save(self._path)
            except OSError as error:
                self._event_log.add(f"The scene cannot be saved in {self._path.parent} ({error.strerror}).", "error")
            for listener in self._listeners:
                listener(scene)
        return scene

    def retake(self) -> Scene:
        """Ask the engine to capture a new neutral face."""
        return self.change(neutral=self.scene.neutral + 1)
