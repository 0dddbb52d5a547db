"""Logs: one line per event on standard error, with facts as keys.

Values may come from outside, and a line break in one could forge another event, so control characters are escaped. A
log that cannot be written (full disk, closed terminal) does not end the process.
"""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

from shared.lean_imports import imports_without
from shared.runtime.shown_text import one_line

with imports_without("rich"):  # formats tracebacks, which are plain here, and loads for longer than structlog itself
    import structlog

get_logger = structlog.get_logger


def set_up_logs(service: str, level: str) -> None:
    """Configure logging: events of this level and above, each with the service's name."""
    structlog.configure(
        processors=[
            _escape_values,
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%H:%M:%S"),
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), pad_event_to=20, exception_formatter=structlog.dev.plain_traceback
            ),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        # PrintLogger only uses write and flush.
        logger_factory=structlog.PrintLoggerFactory(_Lines(sys.stderr)),  # type: ignore[arg-type]
    )
    structlog.contextvars.bind_contextvars(service=service)


class _Lines:
    """A text stream that drops writes that fail and counts them in `lost`."""

    def __init__(self, stream: TextIO) -> None:
        self._stream, self.lost = stream, 0

    def write(self, text: str) -> None:
        """Write the text, with lone surrogates as escapes."""
        try:
            self._stream.write(text.encode("utf-8", "backslashreplace").decode())
        except (OSError, ValueError):
            self.lost += 1

    def flush(self) -> None:
        """Flush the stream."""
        try:
            self._stream.flush()
        except (OSError, ValueError):
            self.lost += 1


def _escape_values(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {key: one_line(value) if isinstance(value, str) else value for key, value in event.items()}
