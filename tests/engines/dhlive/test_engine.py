"""The engine on a filmed body: frames belong to the plate frame they name, and the film around the mouth is kept."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: `make setup-torch` brings it")

from compositing.compose import Composer  # noqa: E402
from engines.api import RoiFrame, SessionContext, VoiceBlock  # noqa: E402
from engines.dhlive.asset.person import FILE, read_person, write_person  # noqa: E402
from engines.dhlive.engine import KNOWN_BY, DhliveEngine, kept_person  # noqa: E402
from engines.dhlive.file_names import MOUTHS  # noqa: E402
from engines.dhlive.generation import Generation  # noqa: E402
from engines.dhlive.networks.mini2 import Mini2Network  # noqa: E402
from engines.dhlive.networks.mini2_folded import FoldedMini2  # noqa: E402
from engines.dhlive.options import DhliveOptions  # noqa: E402
from engines.dhlive.session import DhliveSession  # noqa: E402
from harness.by_rule import by_rule  # noqa: E402
from harness.sample_avatar import sample_avatar  # noqa: E402
from shared.avatar.model import Avatar, load_avatar  # noqa: E402
from shared.errors import StudioError  # noqa: E402
from shared.media.colour import i420_to_rgb  # noqa: E402
from tests.support.engines.dhlive_material import BODY_FRAMES, StandInEngine, filmed, stand_ins  # noqa: E402
from tests.support.files.voice_material import babble, sound_of  # noqa: E402

pytestmark = pytest.mark.apart

MOUTH = MOUTHS[Generation.MINI2]


def opened(avatar: Avatar | None = None, **options: Any) -> DhliveSession:
    chosen = DhliveOptions(**options)
    return StandInEngine().open(avatar or filmed(), SessionContext(options=chosen))


def spoken(session: DhliveSession, seconds: float = 0.8) -> list[RoiFrame]:
    voice = sound_of([babble(4)])[: round(seconds * 48_000)]
    return session.hear(VoiceBlock(0, voice)) + session.flush()


def composed(frame: RoiFrame) -> tuple[Any, Any]:
    """Return the program's frame and the plate's own, as RGB."""
    assert frame.plate is not None
    composer = Composer(filmed())
    program = composer.compose(composer.background(frame.plate), frame.plate, frame.pixels, 1.0, own=True).frame
    return i420_to_rgb(program).astype(np.int16), i420_to_rgb(filmed().plate.frame(frame.plate)).astype(np.int16)


def test_the_film_around_the_mouth_stays() -> None:
    """The film is kept to the bit outside the crop, and nearly so between the crop's edge and the network's window."""
    person = kept_person(filmed())
    for frame in spoken(opened(strength=0.0), 0.4):
        assert frame.plate is not None
        program, film = composed(frame)
        left, top, right, bottom = person.rects[person.of_plate(frame.plate)]
        changed = np.abs(program - film).max(axis=2)
        outside = changed.copy()
        outside[top - 2 : bottom + 2, left - 2 : right + 2] = 0
        assert outside.max() == 0
        side = right - left
        rim = changed[top:bottom, left : left + side // 8]
        assert rim.mean() < 3 and changed[top:bottom, left:right].max() > 30  # the mouth is noise


def test_a_frame_is_drawn_from_the_plate_frame_that_it_names() -> None:
    """The upper part of the crop, where no mouth is drawn, is that frame's and no other's."""
    wanted = [7, 3, 12, 0, 19]
    session = StandInEngine().open(
        filmed(),
        SessionContext(plate_at=lambda pts: wanted[pts // 40_000 % len(wanted)], options=DhliveOptions(strength=0.0)),
    )
    frames = spoken(session, 0.2)
    assert [frame.plate for frame in frames] == wanted
    for frame in frames:
        program, _ = composed(frame)
        person = kept_person(filmed())
        left, top, right, _ = person.rects[person.of_plate(frame.plate or 0)]
        strip = slice(top + 12, top + 40), slice(left + 30, right - 30)
        apart = [
            np.abs(program[strip] - i420_to_rgb(filmed().plate.frame(index))[strip]).mean()
            for index in range(BODY_FRAMES)
        ]
        assert int(np.argmin(apart)) == frame.plate, apart


def test_the_mouth_follows_the_voice_and_the_options() -> None:
    still, moved = (spoken(opened(strength=strength)) for strength in (0.0, 1.0))
    assert all(frame.pts == number * 40_000 for number, frame in enumerate(moved)) and len(moved) == 20
    apart = [np.abs(a.pixels.astype(int) - b.pixels).max() for a, b in zip(still, moved, strict=True)]
    assert max(apart) > 60
    session = opened()
    before = spoken(session)
    assert session.apply(DhliveOptions(rules="browser"))
    session.reset()
    after = spoken(session)
    assert any(not np.array_equal(a.pixels, b.pixels) for a, b in zip(before[3:], after[3:], strict=True))


def test_it_waits_with_a_mouth_that_closes() -> None:
    """After the last word the mouth comes to rest within a few frames, each on the plate frame of its time.

    At rest nothing moves but the film.
    """
    session = StandInEngine().open(filmed(), SessionContext(plate_at=lambda pts: 5, options=DhliveOptions()))
    rest = session.idle(0)[0]
    assert rest.plate == 5 and rest.waiting
    spoken(session, 0.3)
    apart = [np.abs(session.idle(pts)[0].pixels.astype(int) - rest.pixels).max() for pts in range(0, 400_000, 40_000)]
    assert apart[0] > 5 and apart[-1] == 0, apart


def test_faces_of_several_sessions_are_one_call_of_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    engine, sessions = StandInEngine(), [opened() for _ in range(3)]
    batches: list[int] = []
    drawn = FoldedMini2.forward

    def counted(self: FoldedMini2, source: Any, person: Any) -> Any:
        batches.append(len(source))
        return drawn(self, source, person)

    monkeypatch.setattr(FoldedMini2, "forward", counted)
    block = VoiceBlock(0, sound_of([babble(1)])[: 255 * 48 + 2])
    found = engine.draw_batch(sessions, [block] * 3)
    assert batches == [3] and [len(each) for each in found] == [1, 1, 1]
    alone = opened().hear(block)[0]
    assert np.abs(found[2][0].pixels.astype(int) - alone.pixels).max() <= 1


def test_an_avatar_without_a_film_is_refused_in_one_sentence() -> None:
    for refused in (StandInEngine().prepare, StandInEngine().open):
        with pytest.raises(StudioError, match="has no body film, and DH_live moves the mouth of a filmed face"):
            refused(sample_avatar())


def test_a_person_of_another_film_is_refused_in_one_sentence(tmp_path: Any) -> None:
    avatar = replace(filmed(), folder=tmp_path)
    person = read_person(filmed().engine_file("dhlive", FILE))
    half = replace(person, rects=person.rects[:7], matrices=person.matrices[:7], landmarks=person.landmarks[:7])
    write_person(avatar.engine_file("dhlive", FILE), half)
    with pytest.raises(StudioError, match="were measured in another film"):
        opened(avatar)
    with pytest.raises(StudioError, match="has not been prepared"):
        opened(replace(filmed(), folder=tmp_path / "none"))


def test_another_mouth_measures_the_film_again_and_an_imported_person_stays(tmp_path: Path) -> None:
    """A person's style is specific to one network, and noise to another."""
    shutil.copytree(filmed().folder, tmp_path / "own")
    avatar = load_avatar(tmp_path / "own")
    mouth = tmp_path / "mouth.pth"
    torch.save(by_rule(Mini2Network(), "another").state_dict(), mouth)
    before = kept_person(avatar)
    OtherMouth(mouth).prepare(avatar)
    after = kept_person(avatar)
    assert np.abs(before.reference - after.reference).max() > 0.1 and np.array_equal(before.rects, after.rects)
    avatar.engine_file("dhlive", KNOWN_BY).unlink()
    StandInEngine().prepare(avatar)
    assert np.array_equal(kept_person(avatar).reference, after.reference)


class OtherMouth(StandInEngine):
    """The engine with a mouth from another file."""

    def __init__(self, mouth: Path) -> None:
        self._mouth_file = mouth

    def files(self) -> dict[str, Path]:
        return stand_ins() | {MOUTH: self._mouth_file}


def test_the_look_ahead_is_declared() -> None:
    info = DhliveEngine().info
    assert info.voice_ahead_us == 255_000 and info.inputs == {"voice"} and info.output == "region"
