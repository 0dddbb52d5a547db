"""How much of the driver's image the gateway requests: as much as an engine needs or as viewers see."""

from collections.abc import Iterator

import pytest

from services.gateway.preview.encoder import DRIVER
from tests.support.browser.viewer import Viewer, watching
from tests.support.running.gateway import GatewayStudio


@pytest.fixture
def facts(running: GatewayStudio) -> Iterator[dict[str, object]]:
    """The generator's facts of its engines, restored afterwards: `mesh`, which alone needs no image, is open."""
    meter = running.channel.meters["generator"]
    before = meter.facts
    rows = {name: row | {"needs_image": name != "mesh"} for name, row in before["engines"].items()}
    meter.facts = before | {"engines": rows, "needs_image": False}
    yield meter.facts
    meter.facts = before


def asked(running: GatewayStudio, wanted: str) -> None:
    """Wait until the gateway asks capture for this much of the image."""
    running.wait(lambda: running.channel.scene and running.channel.scene.driver_image == wanted)
    assert running.state()["scene"]["driver_image"] == wanted


def see_driver_move(viewer: Viewer) -> None:
    """Wait until the viewer has received more than ten images of the driver."""
    received: set[int] = set()
    while len(received) <= 10:
        viewer.frame()
        received.add(viewer.received.get(DRIVER, 0))


def test_no_image_travels_for_an_engine_that_needs_none_and_a_small_one_while_it_is_watched(
    running: GatewayStudio, facts: dict[str, object]
) -> None:
    asked(running, "none")
    with watching(running, "full") as viewer:
        asked(running, "small")
        see_driver_move(viewer)
    asked(running, "none")


def test_it_travels_whole_for_the_engine_that_is_wanted_and_the_one_on_air(
    running: GatewayStudio, facts: dict[str, object]
) -> None:
    asked(running, "none")
    assert running.patch(engine="ladder").status_code == 200
    try:
        asked(running, "whole")
    finally:
        running.patch(engine="mesh")
    asked(running, "none")
    facts["needs_image"] = True  # the engine that needs the image is still on air
    asked(running, "whole")
    with watching(running, "full") as viewer:
        see_driver_move(viewer)


def test_it_travels_whole_while_nothing_is_known_of_the_engine(
    running: GatewayStudio, facts: dict[str, object]
) -> None:
    asked(running, "none")
    del facts["engines"]
    asked(running, "whole")
