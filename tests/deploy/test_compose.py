"""The compose file: nothing secret stands on a command line."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.apart
TEXT = (Path(__file__).parents[2] / "deploy" / "compose.yaml").read_text(encoding="utf-8")
SECRETS = ("REDIS_PASSWORD", "LIVEKIT_API_SECRET", "REDISCLI_AUTH")
COMMANDS = [json.loads(found) for found in re.findall(r"^ +(?:command|test): (\[.*\])$", TEXT, re.MULTILINE)]


def test_no_secret_is_on_a_command_line() -> None:
    assert len(COMMANDS) == TEXT.count("command:") + TEXT.count("test:")
    for command in COMMANDS:
        # "$$" is for the shell in the container; a single "$" would be put in by compose, for everybody to read.
        assert not any(secret in word.replace("$$REDISCLI_AUTH", "") for secret in SECRETS for word in command)


def test_redis_gets_its_password_on_standard_input() -> None:
    assert "user: redis" in TEXT, "a shell as the command would otherwise keep the server root's"
    shell, option, script = next(command for command in COMMANDS if "redis-server" in command[-1])
    # What compose hands to the container, with `cat` in the server's place.
    script = script.replace("$$", "$").replace("exec redis-server -", "cat")
    variables = {"PATH": os.environ["PATH"], "REDISCLI_AUTH": "hush"}
    told = subprocess.run([shell, option, script], env=variables, capture_output=True, check=True).stdout
    assert told == b'save ""\nappendonly yes\nrequirepass "hush"\n'
