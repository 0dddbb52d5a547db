"""`python -m services.compositor`: run the compositor service of a channel."""

from services.compositor.service import Compositor
from shared.config.settings import load_settings
from shared.runtime.logs import set_up_logs

if __name__ == "__main__":
    settings = load_settings()
    set_up_logs("compositor", settings.log_level)
    Compositor(settings).run()
