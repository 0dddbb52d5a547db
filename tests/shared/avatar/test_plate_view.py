"""A view of a plate shows the same scene at another size, with the face where it belongs."""

from pathlib import Path

import numpy as np
import pytest

from compositing.compose import Composer
from shared.avatar.model import Avatar, load_avatar
from shared.avatar.plate_view import avatar_in_view, view_part
from shared.media.colour import planes


@pytest.fixture(scope="module", params=["sample", "sample-video"])
def avatar(request: pytest.FixtureRequest, sample_home: Path) -> Avatar:
    return load_avatar(sample_home / "avatars" / str(request.param))


@pytest.mark.parametrize(("width", "height"), [(512, 512), (256, 448), (640, 360)])
def test_the_face_is_where_it_is_in_the_whole_frame(avatar: Avatar, width: int, height: int) -> None:
    view = avatar_in_view(avatar, width, height)
    x, y, w, h = view_part(avatar.plate, width, height)
    assert abs(w / h - width / height) < 0.02 and (
        w == avatar.plate.width or h >= avatar.plate.height - 2 or w >= avatar.plate.width - 2
    )
    index = len(avatar.plate) // 2
    roi = np.zeros((512, 512, 3), np.uint8)
    whole, small = Composer(avatar), Composer(view)
    dark = whole.compose(whole.background(index), index, roi, 1.0, own=True).frame
    seen = small.compose(small.background(index), index, roi, 1.0, own=True).frame
    assert seen.shape == (height * 3 // 2, width)
    rows, columns = np.nonzero(planes(seen)[0] < 24)
    all_rows, all_columns = np.nonzero(planes(dark)[0][y : y + h, x : x + w] < 24)
    scale = width / w
    assert (
        len(rows)
        and abs(rows.mean() - all_rows.mean() * scale) < 2
        and abs(columns.mean() - all_columns.mean() * scale) < 2
    )


def test_a_view_of_the_plate_s_own_size_is_the_avatar_itself(avatar: Avatar) -> None:
    assert avatar_in_view(avatar, avatar.plate.width, avatar.plate.height) is avatar
