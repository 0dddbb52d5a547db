"""The environment that a child process gets."""

import pytest

from shared.config.child_environment import THREADS, child_environment
from shared.config.settings import Settings


def test_secrets_stay_back_unless_they_are_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIVEKIT_API_SECRET", "s3cret-of-livekit")
    monkeypatch.setenv("REDIS_URL", "redis://:s3cret@host:6379/0")
    monkeypatch.setenv("STUDIO_RTMP_URL", "rtmp://host/app/s3cret")
    settings = Settings()
    assert not any("s3cret" in value for value in child_environment(settings).values())
    assert "s3cret-of-livekit" in child_environment(settings, secrets=True).values()
    told = child_environment(settings, redis_url="redis://:s3cret@host:6379/0")
    assert told["STUDIO_REDIS_URL"].endswith("@host:6379/0") and "STUDIO_RTMP_URL" not in told


def test_threads_are_limited_where_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in THREADS:
        monkeypatch.delenv(name, raising=False)
    assert not any(name in child_environment(Settings()) for name in THREADS)
    assert {child_environment(Settings(), threads=2)[name] for name in THREADS} == {"2"}


def test_the_keys_of_a_store_go_to_those_who_read_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_SECRET_ACCESS_KEY", "AZURE_STORAGE_KEY", "GOOGLE_APPLICATION_CREDENTIALS", "HF_TOKEN"):
        monkeypatch.setenv(name, "s3cret")
    assert "s3cret" not in child_environment(Settings()).values()
    assert "s3cret" in child_environment(Settings(), store=True).values()
