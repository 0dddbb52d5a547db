"""The compose file and what its images install, as far as that can be checked without building an image."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from cli.app import app

ROOT = Path(__file__).parents[2]
COMPOSE = (ROOT / "deploy" / "compose.yaml").read_text(encoding="utf-8")
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")
SECRETS = ("REDIS_PASSWORD", "LIVEKIT_API_SECRET", "REDISCLI_AUTH")
COMMANDS = [json.loads(found) for found in re.findall(r"^ +(?:command|test): (\[.*\])$", COMPOSE, re.MULTILINE)]
ASKED = """
import json, torch, diffusers, transformers
from importlib import metadata
from engines.xformers_attention import attention_problem, runtime_problem, xformers_attention
print(json.dumps([torch.__version__, runtime_problem(), attention_problem(xformers_attention, torch.device("cpu"))]))
"""


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    yaml = pytest.importorskip("yaml")
    return dict(yaml.safe_load(COMPOSE)["services"])


def lock_of(service: dict[str, Any]) -> str:
    """Return the lock of a service's image: the one that its build names, else the Dockerfile's default."""
    default = re.search(r"^ARG LOCK=(\S+)$", DOCKERFILE, re.MULTILINE)
    assert default is not None
    return str(service["build"].get("args", {}).get("LOCK", default[1]))


def test_each_image_of_ours_is_built_from_a_lock_that_is_there(services: dict[str, Any]) -> None:
    built = {name: lock_of(each) for name, each in services.items() if "build" in each}
    assert built == {
        "studio": "requirements.lock", "worker": "requirements-farm.lock", "flower": "requirements-farm.lock",
        "worker-gpu": "requirements-gpu.lock",
    }  # fmt: skip
    for name in built:
        where = services[name]["build"]
        assert (ROOT / "deploy" / where["context"]).resolve() == ROOT and (ROOT / where["dockerfile"]).is_file()
    for lock in set(built.values()):
        assert (ROOT / lock).is_file()


def test_the_commands_are_those_that_the_studio_has(services: dict[str, Any]) -> None:
    known = get_command(app).commands  # type: ignore[attr-defined]
    said = {name: each["command"] for name, each in services.items() if "build" in each}
    named = {name: words[1] for name, words in said.items() if words[0] == ".venv/bin/studio"}
    assert named == {"studio": "live", "worker": "worker", "worker-gpu": "worker"} and set(named.values()) <= set(known)


def test_the_gpu_worker_is_a_worker_with_a_gpu_and_weights(services: dict[str, Any]) -> None:
    """The GPU worker is optional and otherwise equals the plain worker; its probes decide which jobs it takes."""
    plain, gpu = dict(services["worker"]), dict(services["worker-gpu"])
    assert gpu.pop("profiles") == ["gpu"]
    (device,) = gpu.pop("deploy")["resources"]["reservations"]["devices"]
    assert device["driver"] == "nvidia" and device["capabilities"] == ["gpu"]
    assert gpu["environment"].pop("STUDIO_WEIGHTS").startswith(gpu["volumes"][0].partition(":")[2])
    assert gpu.pop("build") != plain.pop("build") and gpu == plain
    assert "--engines" not in gpu["command"], "what it can run its probe says"


def test_no_secret_is_on_a_command_line() -> None:
    assert len(COMMANDS) == COMPOSE.count("command:") + COMPOSE.count("test:")
    for command in COMMANDS:
        # "$$" is expanded by the shell in the container; compose itself would expand a single "$", and every user of
        # the machine could read the result.
        assert not any(secret in word.replace("$$REDISCLI_AUTH", "") for secret in SECRETS for word in command)


@pytest.mark.apart
def test_redis_gets_its_password_on_standard_input() -> None:
    assert "user: redis" in COMPOSE, "a shell as the command would otherwise keep the server root's"
    shell, option, script = next(command for command in COMMANDS if "redis-server" in command[-1])
    # The script that compose passes to the container, with `cat` in place of the server.
    script = script.replace("$$", "$").replace("exec redis-server -", "cat")
    variables = {"PATH": os.environ["PATH"], "REDISCLI_AUTH": "hush"}
    told = subprocess.run([shell, option, script], env=variables, capture_output=True, check=True).stdout
    assert told == b'save ""\nappendonly yes\nrequirepass "hush"\n'


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_the_gpu_workers_install_steps_run_in_a_fresh_environment(tmp_path: Path) -> None:
    """Runs the Dockerfile's own step on a copy of the checkout, which downloads gigabytes."""
    assert 'RUN deploy/setup.sh "$LOCK"' in DOCKERFILE
    tracked = subprocess.check_output(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, encoding="utf-8"
    )
    for name in tracked.split("\0"):
        if (ROOT / name).is_file():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, tmp_path / name)
    subprocess.run(["deploy/setup.sh", "requirements-gpu.lock"], cwd=tmp_path, check=True)
    python, plain = tmp_path / ".venv/bin/python", {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    torch, runtime, attention = json.loads(
        subprocess.check_output([python, "-c", ASKED], cwd=tmp_path, env=plain, encoding="utf-8")
    )
    assert torch.startswith("2.") and runtime == ""
    assert "device=cpu (supported: {'cuda'})" in attention, "its kernels are loaded, and want a GPU"
    engines = subprocess.check_output([tmp_path / ".venv/bin/studio", "engines", "--json"], cwd=tmp_path, env=plain)
    rows = {row["name"]: row["unavailable"] for row in json.loads(engines)}
    assert rows["mesh"] == "" and "studio weights pull liveportrait" in rows["liveportrait"], rows
