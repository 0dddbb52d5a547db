"""What a job writes down of the machine that it was handed in on."""

import importlib.metadata
import re

from services.renderer.job.submit import PACKAGES, versions


def test_every_package_whose_version_is_kept_is_the_studios_or_one_it_asks_for() -> None:
    asked_for = {
        re.split(r"[^\w-]", line)[0]: "extra ==" in line for line in importlib.metadata.requires("persona-studio") or ()
    }
    assert set(PACKAGES) <= {"persona-studio", *asked_for}
    always = {name for name in PACKAGES if not asked_for.get(name, False)}
    assert always <= versions().keys()
