"""Real servers for the farm's tests: Redis, and an S3 store."""

import os
import secrets
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from services.local.redis_server import RedisServer
from shared.config.cache_dir import cache_folder
from tests.support.jobs.farm import wait
from tests.support.running.ports import free_port

S3_KEYS = {"ROOT_ACCESS_KEY": "studio", "ROOT_SECRET_KEY": "a-secret-of-the-tests"}


@pytest.fixture
def redis_home(tmp_path: Path) -> Iterator[Path]:
    """Run the Redis of a studio folder; yields the folder."""
    with RedisServer(tmp_path):
        yield tmp_path


def s3_program() -> Path | None:
    """Return the S3 server on the path, or the one that deploy/s3.sh built."""
    found = shutil.which("versitygw")
    cached = cache_folder() / "bin" / "versitygw"
    return Path(found) if found else cached if os.access(cached, os.X_OK) else None


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a real S3 server; yields a bucket's URL. The environment has the server's address and keys."""
    program = s3_program()
    if program is None:
        pytest.skip("no S3 server: deploy/s3.sh builds one")
    pytest.importorskip("s3fs")
    folder = tmp_path_factory.mktemp("s3")
    (folder / "studio").mkdir()
    port = free_port()
    command = [str(program), "--port", f"127.0.0.1:{port}", "--quiet", "posix", str(folder)]
    process = subprocess.Popen(command, env=S3_KEYS, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def listens() -> bool:
        assert process.poll() is None, "the S3 server has ended"
        with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return True
        return False

    try:
        wait(listens, "the S3 server")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
            patch.setenv("AWS_ACCESS_KEY_ID", S3_KEYS["ROOT_ACCESS_KEY"])
            patch.setenv("AWS_SECRET_ACCESS_KEY", S3_KEYS["ROOT_SECRET_KEY"])
            patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
            yield "s3://studio"
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def s3_store(s3_server: str) -> str:
    """Return the URL of a folder in the bucket that no other test uses."""
    return f"{s3_server}/{secrets.token_hex(4)}"
