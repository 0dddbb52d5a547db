"""`python -m services.sessions`: run the sessions service, which joins the rooms of all requested sessions."""

import os
import sys

from services.sessions.service import SessionsService
from shared.config.settings import load_settings
from shared.runtime.logs import set_up_logs

# A thread that waits for the GIL gets it after this many seconds, so that the rooms' thread can publish sound while the
# ticks' thread composes.
SWITCH_INTERVAL_S = 0.001
# Threads of LiveKit's library, by default one per core. Two are enough, as their calls into Python wait for the
# interpreter anyway. More of them take turns with the threads that send the sound: with eight, on two cores, a burst of
# an agent's speech delayed the room's packets by up to 150 ms, and a listener buffers as much sound from then on.
SDK_THREADS = "2"

if __name__ == "__main__":
    settings = load_settings()
    set_up_logs("sessions", settings.log_level)
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    os.environ.setdefault("TOKIO_WORKER_THREADS", SDK_THREADS)
    SessionsService(settings).run()
    # LiveKit's library keeps threads that cannot be joined.
    os._exit(0)
