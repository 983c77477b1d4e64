"""A bundle is one change: where a choice or an action in it cannot be carried out, its settings stay as they were too."""

from __future__ import annotations

import pytest
from test_control import Engine as FakeEngine

from realtime import scene, scenes
from realtime.control import Refused
from realtime.gestures import ADDRESSES as GESTURES
from realtime.gestures import Gestures
from realtime.host import _LateLink
from realtime.mix import Mix
from realtime.plan import Plan
from realtime.recorder import ADDRESSES as RECORDING
from realtime.recorder import Recorder
from realtime.scenes import ADDRESSES as SCENES
from realtime.scenes import Scenes
from realtime.state import Change, ControlState, Message
from realtime.tempo.tempo import ADDRESSES as TEMPO
from realtime.tempo.tempo import Tempo

STEMS = ("vocals", "drums", "bass", "other")


class Stage(FakeEngine):
    """What carries choices out, put together as a host does it, without sound: `done` holds what came to the engine."""

    def __init__(self, folder):
        super().__init__()
        self.done = []
        link = _LateLink(lambda: self.state)
        link.engine = self
        self.state = ControlState(STEMS, link, self.clock, models=("lasaft-live", "none-such"))
        self.state.checks |= link.checks()
        self.scenes = Scenes(self.state, Plan(folder, Mix(())), lambda text: None)
        gestures = Gestures(self.state, lambda text: None, folder)
        tempo = Tempo(self.clock, self.state.set_info)
        recorder = Recorder(self.state, lambda: None)
        link.serve(SCENES, self.scenes.change, self.scenes.check)
        link.serve(GESTURES, gestures.ask, gestures.check)
        link.serve(TEMPO, tempo.change, tempo.check)
        link.serve(RECORDING, recorder.change, recorder.check)
        self.state.set("/record/folder", str(folder))

    def change(self, wish):
        self.done.append(wish)


@pytest.fixture
def stage(tmp_path, monkeypatch):
    for module in (scene, scenes):
        monkeypatch.setattr(module, "config_folder", lambda: tmp_path)
    stage = Stage(tmp_path)
    for mode in ("low", "safe"):
        stage.state.set_info(f"/mode/{mode}/offered", 1)
    stage.state.set_info("/mode/extreme/offered", 0)
    yield stage
    stage.scenes.close()


def bundle(*messages):
    return [Change(tuple(Message(address, tuple(values)) for address, *values in messages))]


REFUSED = [
    [("/mode", "extreme")],
    [("/model", "none-such")],
    [("/deck/play", 1)],
    [("/deck/load", "song.wav")],
    [("/midi/learn", "/wet")],
    [("/scene/load", "nothing")],
    [("/scene/delete", "nothing")],
    [("/scene/save", "../up")],
    [("/gesture/play", "nothing")],
    [("/gesture/record", "../up")],
    [("/record/folder", "here/below")],
    [("/record/mixture", 0), ("/record/master", 0), ("/record/stems", 0), ("/record", 1)],
    [("/tempo/source", "midi"), ("/tempo/bpm", 90.0)],
    [("/tempo/source", "midi"), ("/tempo/tap",)],
]


@pytest.mark.parametrize("choices", REFUSED, ids=lambda choices: " ".join(str(part) for part in choices[-1]))
def test_nothing_of_a_bundle_happens_where_one_choice_in_it_cannot_be(stage, choices):
    before = stage.state.values
    with pytest.raises(Refused):
        stage.state.apply(bundle(("/wet", 0.5), ("/mode", "safe"), ("/tempo/beats", 3), *choices, ("/glide", 7.0)))
    assert stage.state.values == before
    assert stage.done == [] and stage.submitted == []


def test_a_bundle_whose_choices_can_be_happens_whole(stage):
    stage.state.apply(bundle(("/wet", 0.5), ("/mode", "safe"), ("/tempo/beats", 3), ("/gesture/loop", 1)))
    read = stage.state.value
    assert (read("/wet"), read("/tempo/beats"), read("/gesture/loop")) == ((0.5,), (3,), (1,))
    assert [wish.mode for wish in stage.done] == ["safe"]


def test_what_a_bundle_makes_first_is_there_for_what_comes_after_it(stage):
    stage.state.apply(bundle(("/wet", 0.5), ("/scene/save", "now"), ("/scene/load", "now")))
    stage.state.apply(bundle(("/record/mixture", 0), ("/record/master", 0), ("/record/stems", 0)))
    stage.state.apply(bundle(("/record/mixture", 1), ("/record", 1), ("/record", 0)))
    stage.state.apply(bundle(("/gesture/record", "fade"), ("/gesture/stop",)))
    stage.state.apply(bundle(("/gesture/play", "fade")))
    with pytest.raises(Refused, match="there is no gesture"):
        stage.state.apply(bundle(("/gesture/play", "other")))


def test_a_mode_is_left_to_a_separator_that_is_on_its_way(stage):
    stage.state.set_info("/model", "none-such")
    stage.state.apply(bundle(("/wet", 0.5), ("/model", "lasaft-live"), ("/mode", "extreme")))
    stage.state.set("/mode", "extreme")
    stage.state.set_info("/model", "lasaft-live")
    with pytest.raises(Refused, match="no mode extreme, but safe, low"):
        stage.state.set("/mode", "extreme")
