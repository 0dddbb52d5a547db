"""`python -m services.sessions`: be in the rooms of the sessions that are wanted."""

import os
import sys

from services.sessions.service import SessionsService
from shared.config.settings import load_settings
from shared.runtime.logs import set_up_logs

# Python lets a waiting thread run after this many seconds: the rooms' thread hands sound over while the ticks' one
# composes.
SWITCH_INTERVAL_S = 0.001

if __name__ == "__main__":
    settings = load_settings()
    set_up_logs("sessions", settings.log_level)
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    SessionsService(settings).run()
    # LiveKit's library keeps threads that cannot be joined.
    os._exit(0)
