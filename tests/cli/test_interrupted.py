"""Ctrl-C while a command still loads its modules ends it as it does later, without a traceback."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Sends Ctrl-C at the moment that a given module is imported, so that no timing decides where it arrives.
AT_IMPORT = """
import os, signal, sys

sys.argv[0] = "studio"
wanted = sys.argv.pop(1)

class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == wanted:
            os.kill(os.getpid(), signal.SIGINT)
        return None

signal.signal(signal.SIGINT, signal.default_int_handler)
sys.meta_path.insert(0, Interrupting())
from cli.start import main
main()
"""


@pytest.mark.parametrize("module", ["cli.app", "typer", "numpy", "cli.weights", "shared.avatar.manifest"])
def test_a_command_that_is_being_loaded_ends_without_a_traceback(module: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", AT_IMPORT, module, "avatar", "list", "--home", str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, encoding="utf-8", check=False,
    )  # fmt: skip
    assert done.returncode == 130, (done.returncode, done.stderr)
    assert "Traceback" not in done.stderr and not done.stdout
