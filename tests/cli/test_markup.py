"""Users' text on the terminal: brackets in a name are printed as they are."""

import pytest
from rich.console import Console

from cli import app, avatars, bench, engines, jobs, motion, weights


@pytest.mark.parametrize(
    "console", [app.out, app.err, avatars.out, bench.out, engines.out, jobs.out, motion.out, weights.out, weights.err]
)
def test_brackets_in_a_name_are_no_markup(console: Console) -> None:
    text = "rights [/x] of [bold]a[/bold] \\[y]"
    assert console.render_str(text).plain == text
