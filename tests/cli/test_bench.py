"""`studio bench` where a package is not installed."""

import sys

import pytest

from cli import app


@pytest.mark.unit
def test_a_package_that_is_not_there_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("benchmarks.find_spec", lambda name: None)
    monkeypatch.setattr(sys, "argv", ["studio", "bench", "transport"])
    with pytest.raises(SystemExit) as ended:
        app.main()
    assert ended.value.code == 1
    said = "studio: The benchmark transport needs imagezmq, which is not installed; `make setup-dev` installs it."
    assert " ".join(capsys.readouterr().err.split()) == said
