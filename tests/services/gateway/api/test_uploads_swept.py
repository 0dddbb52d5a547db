"""Uploads left by a gateway that died are removed by the next one; uploads in progress are kept."""

import os
from pathlib import Path

import pytest

from services.gateway.api.uploads import sweep_uploads

pytestmark = pytest.mark.unit


def test_what_a_dead_gateway_left_is_swept(tmp_path: Path) -> None:
    for name in (
        ".incoming-99999999-abc",
        ".incoming-old",
        f".incoming-{os.getpid()}-x",
        f".incoming-{os.getppid()}-y",
        "kept",
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "driver").write_bytes(b"part")
    assert sweep_uploads(tmp_path) == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == [f".incoming-{os.getppid()}-y", "kept"]
