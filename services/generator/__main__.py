"""`python -m services.generator`: run the generator service of a channel."""

from services.generator.service import Generator
from shared.logs import set_up_logs
from shared.settings import load_settings

if __name__ == "__main__":
    settings = load_settings()
    set_up_logs("generator", settings.log_level)
    Generator(settings).run()
