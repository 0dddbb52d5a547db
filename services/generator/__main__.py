"""`python -m services.generator`: run the generator service of a channel."""

import os

from services.generator.service import Generator
from shared.config.settings import load_settings
from shared.runtime.logs import set_up_logs

if __name__ == "__main__":
    settings = load_settings()
    set_up_logs("generator", settings.log_level)
    Generator(settings).run()
    # A step or an opening that is under way cannot be stopped: it is not waited for, and the interpreter not taken down
    # beneath it.
    os._exit(0)
