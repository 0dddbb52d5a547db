"""Pytest plugin that prints a failure when it happens: `pytest -p tests.support.failures_at_once`.

The failure's last lines are also appended to the file that FAILURES_FILE names, for a summary after everything else.
"""

import os
from pathlib import Path

import pytest

LAST_LINES = 6


class FailuresAtOnce:
    """Prints the report of each failure as soon as there is one."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._print(report, f"{report.nodeid} ({report.when})")

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._print(report, f"{report.nodeid} (collection)")

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        self._config.option.tbstyle = "no"  # nothing is printed twice

    def _print(self, report: pytest.TestReport | pytest.CollectReport, title: str) -> None:
        terminal = self._config.pluginmanager.get_plugin("terminalreporter")
        assert terminal is not None
        terminal.ensure_newline()
        terminal.write_sep("_", f"FAILED {title}", red=True)
        terminal.write_line(report.longreprtext)
        for name, content in report.sections:
            terminal.write_sep("-", name)
            terminal.write_line(content)
        terminal.flush()
        if path := os.environ.get("FAILURES_FILE"):
            ending = report.longreprtext.strip().splitlines()[-LAST_LINES:]
            with Path(path).open("a", encoding="utf-8") as file:
                file.write("\n".join([title, *(f"    {line}" for line in ending)]) + "\n")


def pytest_configure(config: pytest.Config) -> None:
    """Register the printer as an object, because the hooks of a module could not reach the terminal reporter."""
    config.pluginmanager.register(FailuresAtOnce(config), "failures-at-once")
