"""`python -m services.sessions`: run the sessions service, which joins the rooms of all requested sessions."""

import os
import sys

from services.sessions.service import SessionsService
from shared.config.settings import load_settings
from shared.runtime.logs import set_up_logs

# A thread that waits for the GIL gets it after this many seconds, so that the rooms' thread can publish sound while the
# ticks' thread composes.
SWITCH_INTERVAL_S = 0.001

if __name__ == "__main__":
    settings = load_settings()
    set_up_logs("sessions", settings.log_level)
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    SessionsService(settings).run()
    # LiveKit's library keeps threads that cannot be joined.
    os._exit(0)
