"""`python -m services.generator [--sessions]`: run a channel's generator service, or the faces of many sessions."""

import argparse
import os

from services.generator.face_server import FaceServer
from services.generator.service import Generator
from shared.config.settings import load_settings
from shared.runtime.logs import set_up_logs

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="services.generator", description=__doc__)
    parser.add_argument("--sessions", action="store_true", help="draw the faces of many sessions")
    many = parser.parse_args().sessions
    settings = load_settings()
    set_up_logs("faces" if many else "generator", settings.log_level)
    (FaceServer(settings) if many else Generator(settings)).run()
    # An engine call that is running in a thread cannot be stopped. Exit without waiting for it and without finalizing
    # the interpreter that it runs in.
    os._exit(0)
