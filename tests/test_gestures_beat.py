"""Gestures on the beat: they begin on it where settings wait for it, and come round on it; off unless asked for."""

from __future__ import annotations

import pytest
from test_gestures import RATE, Rig, close, keep

from realtime.control import Refused
from realtime.gestures import LEAD, Gestures
from realtime.tempo.tempo import ADDRESSES as TEMPO
from realtime.tempo.tempo import Tempo

# At 120 beats a minute, from START on, a beat lasts 0.5 s and a bar 2 s.


class Stage(Rig):
    """A rig with a tempo, whose gestures wait for it."""

    def __init__(self, folder):
        super().__init__(folder)
        self.tempo = Tempo(self.state.clock, self.state.set_info)
        self.state.quantiser = self.tempo.quantiser()
        self.gestures = Gestures(self.state, self.told.append, folder, self.tempo.quantiser())

    def change(self, address, value):
        (self.tempo.change if address in TEMPO else self.gestures.ask)(address, value)

    def wet(self):
        return super().wet()[1:] if self.landed and self.landed[0][1].wet == 1 else super().wet()


@pytest.fixture
def stage(tmp_path):
    made = Stage(tmp_path)
    keep(made, "dip", 3.9, (0, "/wet", 0.25), (1.95, "/wet", 0.5))
    return made


def test_a_gesture_begins_at_once_unless_settings_wait_for_the_beat(stage):
    stage.at(0.7, "/gesture/play", "dip")
    stage.until(3)
    close(stage.wet(), [(0.7 + LEAD, 0.25), (2.65 + LEAD, 0.5)])


@pytest.mark.parametrize(("grain", "begin"), [("beat", 1.0), ("bar", 2.0), ("phrase", 8.0)])
def test_a_gesture_begins_on_the_sample_of_the_next_boundary(stage, grain, begin):
    stage.at(0.1, "/quantise", grain)
    stage.at(0.7, "/gesture/play", "dip")
    stage.until(0.9 if grain == "beat" else 1.2)
    if grain != "beat":
        assert stage.state.value("/gesture/state") == ("waiting dip",)
    stage.until(begin + 3)
    close(stage.wet(), [(begin, 0.25), (begin + 1.95, 0.5)])
    assert stage.state.value("/gesture/state") == ("playing dip",)


def test_a_looped_gesture_lasts_as_many_bars_as_come_nearest_and_comes_round_on_one(stage):
    stage.at(0.1, "/quantise", "bar")
    stage.state.set("/gesture/loop", 1)
    stage.at(0.7, "/gesture/play", "dip")
    stage.until(11)
    # 3.9 s are as good as two bars: all of it goes as much slower.
    close(stage.wet(), [(2, 0.25), (4, 0.5), (6, 0.25), (8, 0.5), (10, 0.25)])


def test_without_the_beat_a_looped_gesture_lasts_as_long_as_it_does(stage):
    stage.at(0.1, "/gesture/loop", 1)
    stage.at(1 - LEAD, "/gesture/play", "dip")
    stage.until(6)
    close(stage.wet(), [(1, 0.25), (2.95, 0.5), (4.9, 0.25)])


def test_a_looped_gesture_follows_the_tempo_from_its_next_round_on(stage):
    stage.at(0.1, "/quantise", "bar")
    stage.state.set("/gesture/loop", 1)
    stage.at(0.7, "/gesture/play", "dip")
    stage.at(4, "/tempo/bpm", 100.0)
    # A bar begins at 4 s, and lasts 2.4 s from now on. The round under way ends at 6 s, which is nearest to the bar at 6.4 s;
    # two bars later there is one at 11.2 s.
    stage.until(14)
    close(stage.wet(), [(2, 0.25), (4, 0.5), (6, 0.25), (8.6, 0.5), (11.2, 0.25), (13.6, 0.5)])


def test_gestures_that_wait_for_one_beat_begin_on_it_together(stage):
    keep(stage, "swell", 1, (0, "/stem/bass/gain", 0.5))
    stage.at(0.1, "/quantise", "bar")
    stage.at(0.3, "/gesture/play", "dip")
    stage.at(0.5, "/gesture/play", "swell")
    stage.until(1)
    assert stage.state.value("/gesture/state") == ("waiting dip, waiting swell",)
    stage.until(2.5)
    assert stage.state.value("/gesture/state") == ("playing dip, playing swell",)
    assert stage.state.value("/stem/bass/gain") == (0.5,)
    assert {round(at / RATE, 4) for at, mix in stage.landed if mix.wet == 0.25} == {2.0}


@pytest.mark.parametrize("message", [("/gesture/stop",), ("/gesture/end", "dip")])
def test_what_waits_can_be_called_off(stage, message):
    stage.at(0.1, "/quantise", "bar")
    stage.at(0.3, "/gesture/play", "dip")
    stage.at(1, *message)
    stage.until(4)
    assert stage.wet() == [] and stage.told == []
    assert stage.state.value("/gesture/state") == ("",)


def test_a_gesture_that_plays_goes_on_until_it_starts_again_on_the_beat(stage):
    stage.at(0, "/gesture/play", "dip")
    stage.at(0.6, "/quantise", "bar")
    stage.at(1, "/gesture/play", "dip")
    stage.until(5)
    # 1.95 s after its first start is just before the bar, and that is when it starts anew.
    close(stage.wet(), [(LEAD, 0.25), (1.95 + LEAD, 0.5), (2, 0.25), (3.95, 0.5)])


def test_a_gesture_that_is_not_there_is_refused_before_it_waits(stage):
    stage.state.checks["/gesture/play"] = stage.gestures.check
    with pytest.raises(Refused, match="there is no gesture 'nothing', but dip"):
        stage.state.set("/gesture/play", "nothing")
    assert stage.state.value("/gesture/state") == ("",)
