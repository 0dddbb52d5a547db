"""`python -m services.capture`: run the capture service of a channel."""

from services.capture.service import Capture
from shared.config.settings import load_settings
from shared.runtime.logs import set_up_logs

if __name__ == "__main__":
    settings = load_settings()
    set_up_logs("capture", settings.log_level)
    Capture(settings).run()
