from __future__ import annotations

import math
import random
from itertools import pairwise

import pytest

from realtime import gainlaw
from realtime.control import Refused, controls_for, table_text
from realtime.errors import HostError
from realtime.presets import presets_for
from realtime.state import AHEAD, MOST_WAITING, Change, ControlState, Message

STEMS = ("vocals", "drums", "bass", "other")
RATE = 2000


class Engine:
    """A Link that lands each Mix on its position, with a clock that only moves when told."""

    def __init__(self, running=True):
        self.now, self.running = 1_700_000_000.0, running
        self.chosen = []
        self.submitted, self.waiting, self.landed = [], [], []

    def clock(self):
        return self.now

    def submit(self, mix, at):
        self.submitted.append((mix, at))
        here = self.position(self.now)
        if at is None or here is None or at <= here:
            self.waiting = [] if at is None else [w for w in self.waiting if w[1] < at]
            self.landed.append((here, mix))
        else:
            self.waiting = [w for w in self.waiting if w[1] < at] + [(mix, at)]

    def position(self, wall):
        return round((wall - 1_700_000_000.0) * RATE) if self.running else None

    def telemetry(self):
        return None

    def change(self, address, value):
        self.chosen.append((address, value))

    def run_until(self, now):
        self.now = now
        while self.waiting and self.waiting[0][1] <= self.position(now):
            mix, at = self.waiting.pop(0)
            self.landed.append((at, mix))


@pytest.fixture
def engine():
    return Engine()


@pytest.fixture
def state(engine):
    return ControlState(STEMS, engine, engine.clock)


def messages(*items):
    return tuple(Message(address, tuple(values)) for address, *values in items)


def later(engine, seconds, *items):
    return Change(messages(*items), engine.now + seconds)


# The gain law and the presets.


@pytest.mark.parametrize(
    ("x", "linear", "text"),
    [
        (0, 0, "off"),
        (0.375, 0.25, "-12.0 dB"),
        (0.75, 1, "0.0 dB"),
        (0.875, 10**0.15, "+3.0 dB"),
        (1, 10**0.3, "+6.0 dB"),
    ],
)
def test_the_gain_law_has_its_stated_points(x, linear, text):
    assert gainlaw.to_linear(x) == pytest.approx(linear)
    assert gainlaw.from_linear(linear) == pytest.approx(x)
    assert gainlaw.to_text(x) == text
    assert gainlaw.from_text(text) == pytest.approx(x, abs=1e-3)


def test_the_gain_law_rises_without_a_step_and_its_inverse_undoes_it():
    gains = [gainlaw.to_linear(i / 1000) for i in range(1001)]
    assert all(a < b for a, b in pairwise(gains))
    assert max(b - a for a, b in pairwise(gains)) < 0.006
    assert [gainlaw.from_linear(g) for g in gains] == pytest.approx([i / 1000 for i in range(1001)])


@pytest.mark.parametrize("text", ["loud", "+7 dB", "nan", "", "-inf"])
def test_text_that_is_no_gain_is_refused(text):
    with pytest.raises(ValueError, match="decibels"):
        gainlaw.from_text(text)


def test_the_smallest_gain_has_a_text_that_is_not_off():
    assert gainlaw.to_text(1e-300).endswith("dB")
    assert gainlaw.to_text(0.7499999) == "0.0 dB"


def test_presets_follow_the_order_of_the_stems():
    presets = presets_for(("bass", "drums", "other", "vocals"))
    assert presets["acapella"] == (0, 0, 0, 1)
    assert presets["drums+bass"] == (1, 1, 0, 0)
    assert presets["melody"] == (0, 0, 1, 1)
    assert next(iter(presets)) == "all"


def test_other_stem_lists_get_presets_by_rule():
    assert presets_for(("piano", "guitar")) == {
        "all": (1, 1), "only-piano": (1, 0), "only-guitar": (0, 1), "no-piano": (0, 1), "no-guitar": (1, 0),
    }


# The table.


def test_the_documentation_has_a_row_for_every_address_of_the_table():
    rows = [line.split()[0] for line in table_text(STEMS).splitlines()[1:]]
    assert rows == list(controls_for(STEMS))
    assert len(set(rows)) == len(rows)


def test_the_separator_is_listed_as_a_choice_of_those_at_hand():
    rows = {line.split()[0]: line for line in table_text(STEMS, models=("big", "small")).splitlines()}
    assert rows["/model"].split()[1:3] == ["s", "both"]
    assert rows["/model"].endswith("(big, small)")


def test_every_normalised_value_has_a_display_twin():
    table = controls_for(STEMS)
    assert {a for a in table if f"{a}/str" in table} == {
        *(f"/stem/{stem}/gain" for stem in STEMS), "/remainder/gain", "/wet",
    }


def test_defaults_fit_their_own_controls():
    for control in controls_for(STEMS).values():
        if control.default is not None:
            assert control.accept(control.default) == control.default


@pytest.mark.parametrize("stems", [["lead vocals"], ["a/b"], ["#1"], [""], ["a", "a"], [], ["input"], ["flöte"]])
def test_stems_that_osc_cannot_address_are_refused(stems):
    with pytest.raises(HostError):
        controls_for(stems)


# Values and mixes.


def test_the_state_starts_with_the_whole_mixture(state, engine):
    mix = state.mix
    assert (mix.gains, mix.wet, mix.remainder, mix.glide) == ((1, 1, 1, 1), 1, 0, 0.03)
    assert engine.submitted == []


def test_each_message_becomes_one_mix_at_once(state, engine):
    state.set("/stem/vocals/gain", 0.375)
    state.set("/wet", 0.5)
    state.set("/glide", 100)
    state.set("/remainder/gain", 0.75)
    assert [at for _, at in engine.submitted] == [None] * 4
    mix = engine.submitted[-1][0]
    assert mix == state.mix
    assert (mix.gains[0], mix.wet, mix.remainder, mix.glide) == (pytest.approx(0.25), 0.5, 1, 0.1)


def test_solo_silences_the_others_and_mute_wins(state):
    state.set("/stem/vocals/solo", 1)
    assert state.mix.gains == (1, 0, 0, 0)
    state.set("/stem/bass/solo", True)
    assert state.mix.gains == (1, 0, 1, 0)
    state.set("/stem/vocals/mute", 1)
    assert state.mix.gains == (0, 0, 1, 0)
    state.set("/stem/bass/solo", False)
    assert state.mix.gains == (0, 0, 0, 0)
    state.set("/stem/vocals/solo", 0)
    assert state.mix.gains == (0, 1, 1, 1)


def test_bypass_takes_the_wet_sound_away_and_gives_it_back(state):
    state.set("/wet", 0.7)
    state.set("/bypass", 1)
    assert state.mix.wet == 0
    assert state.value("/wet") == (0.7,)
    state.set("/bypass", 0)
    assert state.mix.wet == 0.7


def test_a_preset_sets_all_gains_and_clears_mute_and_solo(state):
    state.set("/stem/vocals/gain", 1.0)
    state.set("/stem/vocals/mute", 1)
    state.set("/stem/bass/solo", 1)
    state.set("/preset", "acapella")
    assert state.mix.gains == (1, 0, 0, 0)
    assert state.value("/stem/vocals/mute") == state.value("/stem/bass/solo") == (0,)


def test_a_preset_is_named_until_the_gains_leave_it(state):
    state.set("/preset", "melody")
    state.set("/stem/vocals/gain", 0.75)
    assert state.value("/preset") == ("melody",)
    state.set("/stem/drums/gain", 0.2)
    assert state.value("/preset") == ("",)


def test_the_condition_is_linear_and_reads_what_the_separator_gets(state):
    state.set("/stem/drums/mute", 1)
    state.set("/condition", 0.5, 0, 1, 0.25)
    assert state.mix.gains == pytest.approx((0.5, 0, 1, 0.25))
    assert state.value("/stem/other/gain") == pytest.approx((0.375,))
    state.set("/stem/vocals/gain", 1)
    state.set("/stem/bass/mute", 1)
    assert state.value("/condition") == pytest.approx((1, 0, 0, 0.25))
    assert state.mix.gains[0] == pytest.approx(10 ** 0.3)


REFUSED = [
    ("/nothing",), ("/stem/piano/gain", 0.5), ("/stem/*/mute", 1), ("/wet",), ("/wet", 0.5, 0.5), ("/wet", "0.5"),
    ("/wet", 1.01), ("/wet", -0.01), ("/wet", math.nan), ("/wet", math.inf), ("/wet", True), ("/wet", None),
    ("/wet", b"x" * 60000), ("/stem/bass/mute", 2), ("/stem/bass/mute", 1.0), ("/stem/bass/mute", "on"),
    ("/condition", 1, 1, 1), ("/condition", 1, 1, 1, 1, 1), ("/condition", 1, 1, 1, math.nan), ("/condition",),
    ("/preset", "karaoke"), ("/preset", 1), ("/preset", ""), ("/glide", 5001), ("/glide", -1), ("/wet", 10**400),
    ("/model", "x"), ("/wet/str", "50 %"), ("/telemetry/load", 0.1), ("/ping",), ("/error", "a", "b"), ("", 1),
]


@pytest.mark.parametrize("message", REFUSED, ids=lambda m: f"{m[0]}-{str(m[1:])[:20]}")
def test_a_message_that_does_not_fit_is_refused_and_changes_nothing(state, engine, message):
    before = {a: state.value(a) for a, c in state.controls.items() if c.access != "write"}
    with pytest.raises(Refused) as refusal:
        state.apply([Change(messages(("/wet", 0.25), message)), later(engine, 1, ("/bypass", 1))])
    assert refusal.value.address == message[0]
    assert "nothing was changed" in str(refusal.value)
    assert len(str(refusal.value)) < 400
    assert {a: state.value(a) for a in before} == before
    assert engine.submitted == []
    assert state.advance() is None


def test_a_refusal_says_what_is_allowed(state):
    for address, value, hint in [
        ("/wet", 2.0, "from 0 to 1, not 2"), ("/preset", "x", "acapella"), ("/stem/x/gain", 1, "vocals, drums"),
        ("/bypass", 3, "0 or 1"), ("/condition", 1, "4 numbers, each from 0 to 1"), ("/rate", 44100, "read only"), ("/mode", "medium", "one of safe, low"),
    ]:
        with pytest.raises(Refused, match=hint):
            state.set(address, value)


def test_a_change_of_several_messages_is_one_mix(state, engine):
    state.apply([Change(messages(("/preset", "drums"), ("/wet", 0.5), ("/stem/bass/gain", 0.75)))])
    [(mix, at)] = engine.submitted
    assert (mix.gains, mix.wet, at) == ((0, 1, 1, 0), 0.5, None)


def test_watchers_hear_of_exactly_what_changed(state):
    heard = []
    state.watch(heard.append)
    state.set("/preset", "instrumental")
    state.set("/preset", "instrumental")
    assert heard == [{"/preset", "/stem/vocals/gain", "/condition"}]
    assert state.with_twins(heard[0]) == ["/condition", "/stem/vocals/gain", "/stem/vocals/gain/str", "/preset"]


def test_a_choice_goes_to_the_host_and_reads_what_runs_until_it_is_carried_out(state, engine):
    state.set_info("/mode", "low")
    state.apply([Change(messages(("/mode", "lower"), ("/wet", 0.5)))])
    assert engine.chosen == [("/mode", "lower")]
    assert (state.value("/mode"), state.value("/wet")) == (("low",), (0.5,))
    state.set_info("/mode", "lower")
    assert state.value("/mode") == ("lower",)
    # All or none: the wrong one keeps the others back.
    with pytest.raises(Refused):
        state.apply([Change(messages(("/run", "single"), ("/wet", 2)))])
    assert engine.chosen == [("/mode", "lower")]


def test_a_choice_cannot_be_timed(state, engine):
    with pytest.raises(Refused, match="as soon as it can be"):
        state.apply([Change(messages(("/mode", "lower"), ("/wet", 0.5)), engine.clock() + 1)])
    assert engine.chosen == [] and state.value("/wet") == (1.0,)


def test_only_separators_at_hand_can_be_chosen(engine):
    state = ControlState(STEMS, engine, engine.clock, models=("lasaft-live", "lasaft-live-light"))
    assert state.value("/models") == ("lasaft-live", "lasaft-live-light")
    state.set("/model", "lasaft-live-light")
    assert engine.chosen == [("/model", "lasaft-live-light")]
    with pytest.raises(Refused, match="one of lasaft-live, lasaft-live-light"):
        state.set("/model", "/etc/passwd")


def test_the_host_sets_what_clients_only_read(state):
    assert state.value("/mode") is None
    state.set_info("/mode", "low")
    state.set_info("/rate", 44100)
    assert (state.value("/mode"), state.value("/rate"), state.value("/stems")) == (("low",), (44100,), STEMS)
    for address, value in [("/rate", "fast"), ("/run", "both"), ("/wet", 1), ("/nothing", 1)]:
        with pytest.raises(HostError):
            state.set_info(address, value)


# Time.


def test_a_future_change_goes_to_the_engine_ahead_of_its_time_and_shows_when_it_is_due(state, engine):
    due = engine.now + 1
    state.apply([later(engine, 1, ("/wet", 0.5))])
    assert engine.submitted == []
    assert state.advance() == pytest.approx(1 - AHEAD)
    engine.run_until(due - AHEAD + 0.001)
    assert state.advance() == pytest.approx(AHEAD - 0.001, abs=1e-5)
    assert [(m.wet, at) for m, at in engine.submitted] == [(0.5, RATE)]
    assert state.value("/wet") == (1,)
    engine.run_until(due)
    assert state.advance() is None
    assert state.value("/wet") == (0.5,)
    assert len(engine.submitted) == 1


def test_a_message_now_neither_hastens_nor_loses_what_is_handed_over(state, engine):
    due = engine.now + 0.05
    state.apply([later(engine, 0.05, ("/wet", 0.5))])
    state.set("/stem/vocals/gain", 0)
    assert [(m.gains[0], m.wet, at) for m, at in engine.submitted] == [(1, 0.5, 100), (0, 1, None), (0, 0.5, 100)]
    engine.run_until(due)
    assert (engine.landed[-1][1].gains[0], engine.landed[-1][1].wet) == (0, 0.5)


def test_an_earlier_change_that_arrives_later_lands_first(state, engine):
    state.apply([later(engine, 0.08, ("/wet", 0.8), ("/glide", 8))])
    state.apply([later(engine, 0.04, ("/wet", 0.4), ("/bypass", 0), ("/remainder/gain", 0.75))])
    engine.run_until(engine.now + 0.1)
    assert [(at, m.wet, m.remainder, m.glide) for at, m in engine.landed] == [(80, 0.4, 1, 0.03), (160, 0.8, 1, 0.008)]


def test_changes_due_together_keep_the_order_of_arrival(state, engine):
    due = engine.now + 0.5
    for i in range(100):
        state.apply([Change(messages(("/wet", i / 100)), due)])
    engine.run_until(due - 0.05)
    state.advance()
    engine.run_until(due)
    assert engine.landed[-1][1].wet == 0.99


def test_what_is_overdue_applies_at_once_and_is_counted(state, engine):
    state.apply([later(engine, -5, ("/wet", 0.5))])
    assert [(m.wet, at) for m, at in engine.submitted] == [(0.5, None)]
    assert state.late == 1


def test_without_a_running_engine_a_change_waits_for_its_time(engine):
    engine.running = False
    state = ControlState(STEMS, engine, engine.clock)
    state.apply([later(engine, 0.05, ("/wet", 0.5))])
    assert engine.submitted == []
    assert state.advance() == pytest.approx(0.05, abs=1e-5)
    engine.now += 0.051
    state.advance()
    assert [(m.wet, at) for m, at in engine.submitted] == [(0.5, None)]
    assert state.value("/wet") == (0.5,)


def test_more_than_an_hour_ahead_is_refused(state, engine):
    with pytest.raises(Refused, match="an hour"):
        state.apply([later(engine, 3601, ("/wet", 0.5))])
    state.apply([later(engine, 3599, ("/wet", 0.5))])


def test_what_waits_is_bounded(state, engine):
    many = [("/wet", 0.5)] * 1000
    for _ in range(MOST_WAITING // 1000):
        state.apply([later(engine, 60, *many)])
    with pytest.raises(Refused, match="wait for their time"):
        state.apply([later(engine, 60, ("/wet", 0.5))])
    engine.run_until(engine.now + 61)
    state.advance()
    state.apply([later(engine, 60, *many)])


@pytest.mark.parametrize("seed", range(20))
def test_any_mixture_of_times_sounds_as_if_every_change_came_when_it_was_due(engine, seed):
    """Against a reference that applies each change to a fresh state at its time, one after the other."""
    dice = random.Random(seed)
    state = ControlState(STEMS, engine, engine.clock)
    start, script = engine.now, []
    for order in range(150):
        engine.run_until(engine.now + dice.choice([0, 0, 0.001, 0.003, 0.02]))
        if dice.random() < 0.7:
            state.advance()
        address = f"/stem/{dice.choice(STEMS)}/{dice.choice(['gain', 'mute', 'solo'])}"
        value = dice.choice([0, 1]) if address.endswith(("mute", "solo")) else dice.random()
        # Due half-way between the milliseconds of arrival, so that it never coincides with an untagged change.
        ms = round((engine.now - start) * 1000) + dice.randrange(300) + 0.5
        due = None if dice.random() < 0.5 else start + ms / 1000
        state.apply([Change(messages((address, value)), due)])
        script.append((engine.now if due is None else due, due is None, order, address, value))
    for _ in range(400):
        engine.run_until(engine.now + 0.001)
        state.advance()

    reference = ControlState(STEMS, Engine(), engine.clock)
    expected = {}
    for when, _, _, address, value in sorted(script, key=lambda entry: (round((entry[0] - start) * RATE), *entry[1:3])):
        reference.set(address, value)
        expected[round((when - start) * RATE)] = reference.mix
    assert dict(engine.landed) == expected
    assert state.mix == reference.mix
