"""`python -m services.compositor`: run the compositor service of a channel."""

from services.compositor.service import Compositor
from shared.logs import set_up_logs
from shared.settings import load_settings

if __name__ == "__main__":
    settings = load_settings()
    set_up_logs("compositor", settings.log_level)
    Compositor(settings).run()
