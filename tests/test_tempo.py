"""Tempo without waiting: grids out of taps and MIDI clocks, and settings that wait for the beat."""

from __future__ import annotations

import random
import sys
import threading
import time
from dataclasses import dataclass

import pytest

from realtime.control import Refused
from realtime.state import AHEAD, Change, ControlState, Message
from realtime.tempo.grid import Grid
from realtime.tempo.midiclock import GONE, TICKS, MidiClock
from realtime.tempo.tap import PAUSE, Tap
from realtime.tempo.tempo import ADDRESSES, Tempo

STEMS = ("vocals", "drums", "bass", "other")
RATE = 48000
START = 1_700_000_000.0


class Host:
    """State and tempo on a clock that moves only when told; `landed` holds what reached the engine, and where."""

    def __init__(self, running=True):
        self.now, self.running, self.submitted = START, running, []
        self.state = ControlState(STEMS, self, lambda: self.now)
        self.tempo = Tempo(self.state.clock, self.state.set_info)
        self.state.quantiser = self.tempo.quantiser()
        self.state.checks |= dict.fromkeys(ADDRESSES, self.tempo.check)

    def submit(self, mix, at):
        self.submitted.append((at, mix.gains))

    def position(self, wall):
        return round((wall - START) * RATE) if self.running else None

    def telemetry(self):
        return None

    def change(self, address, value):
        assert address in ADDRESSES
        self.tempo.change(address, value)

    def at(self, seconds):
        """Let time come to `seconds` after the start, as the server does, in steps."""
        while self.now < START + seconds:
            self.now = min(self.now + 0.02, START + seconds)
            self.state.advance()
            self.tempo.beat()

    def set(self, address, *values):
        self.state.set(address, *values)

    def ticks(self, clock_from, count, bpm, uneven=0.0):
        """Send `count` ticks of a MIDI clock from `clock_from` seconds after the start on."""
        dice = random.Random(1)
        for n in range(count):
            self.at(clock_from + n * 60 / bpm / TICKS)
            self.tempo.hear(0xF8, 0, self.now + dice.uniform(0, uneven))


@pytest.fixture
def host():
    return Host()


# Grids.


def test_the_next_boundary_is_a_multiple_that_is_still_to_come():
    grid = Grid(3.0, 100.0, 120.0)
    assert grid.beat_at(100.25) == 3.5
    assert [grid.next(100.0, every) for every in (1, 2, 4, 16)] == [4, 4, 4, 16]
    assert grid.time_of(4.0) == 100.5
    assert grid.at_tempo(60, 100.5).time_of(5.0) == 101.5
    # Rounding is no beat.
    assert grid.next(grid.time_of(7.0) - 1e-9, 1) == 8


def test_taps_that_are_a_little_uneven_make_a_steady_tempo_from_the_first_on():
    tap, dice = Tap(), random.Random(3)
    grids = [tap.tap(10 + n * 0.5 + dice.uniform(-0.01, 0.01)) for n in range(9)]
    assert grids[0] is None
    assert grids[-1].bpm == pytest.approx(120, abs=1)
    assert grids[-1].beat_at(10) == pytest.approx(0, abs=0.05)


def test_a_tap_left_out_is_counted_and_a_pause_begins_a_new_row():
    tap = Tap()
    for n in (0, 1, 2, 4, 5):
        grid = tap.tap(n * 0.4)
    assert grid.bpm == pytest.approx(150)
    assert grid.beat_at(2.0) == pytest.approx(5)
    assert tap.tap(2.0 + PAUSE + 0.1) is None


def test_another_tempo_is_taken_up_from_the_tap_that_does_not_fit():
    tap = Tap()
    for n in range(4):
        tap.tap(n * 1.0)
    assert tap.tap(3.6).bpm == pytest.approx(100)
    assert tap.tap(4.2).bpm == pytest.approx(100)


# MIDI clock.


def clock_of(ticks, bpm=120.0, uneven=0.0, first=0.0):
    clock, dice = MidiClock(), random.Random(2)
    for n in range(ticks):
        clock.tick(first + n * 60 / bpm / TICKS + dice.uniform(0, uneven))
    return clock


def test_a_clock_that_arrives_unevenly_gives_its_tempo_and_place():
    grid = clock_of(200, 97.0, uneven=0.004).grid(199 * 60 / 97 / TICKS)
    assert grid.bpm == pytest.approx(97, abs=0.3)
    # Ticks come late only, by two milliseconds in the middle.
    assert grid.beat_at(199 * 60 / 97 / TICKS + 0.002) == pytest.approx(199 / TICKS, abs=0.004)


def test_a_clock_that_was_stopped_or_has_gone_gives_no_grid():
    clock = clock_of(48)
    last = 47 * 0.5 / TICKS
    assert clock.grid(last) is not None
    assert clock.grid(last + GONE + 0.01) is None
    clock.stop()
    assert clock.grid(last) is None
    clock.resume()
    assert clock.grid(last) is not None
    assert clock_of(5).grid(0.1) is None


def test_a_start_makes_the_next_tick_beat_nought_at_the_tempo_heard_before():
    clock = clock_of(48)
    clock.start()
    clock.tick(1.0)
    assert clock.grid(1.0).beat_at(1.0) == pytest.approx(0)
    assert clock.grid(1.0).bpm == pytest.approx(120)


def test_a_song_goes_on_where_it_stood_or_where_its_position_says():
    clock = clock_of(48)
    clock.stop()
    for n in range(48, 96):
        clock.tick(n * 0.5 / TICKS)
    clock.resume()
    clock.tick(2.0)
    assert clock.grid(2.0).beat_at(2.0) == pytest.approx(2)
    clock.stop()
    clock.locate(18)
    clock.resume()
    clock.tick(2.0 + 0.5 / TICKS)
    assert clock.grid(2.0).beat_at(2.0 + 0.5 / TICKS) == pytest.approx(4.5)


# What waits for the beat.


def landed(host):
    """Return where each condition that was submitted for a position is, in beats of half a second."""
    return [at / RATE / 0.5 for at, _ in host.submitted if at is not None]


def test_nothing_waits_unless_it_is_told_to(host):
    host.at(0.1)
    host.set("/preset", "drums")
    assert host.submitted == [(None, (0, 1, 0, 0))]


@pytest.mark.parametrize(("quantise", "beat"), [("beat", 1), ("bar", 4), ("phrase", 16)])
def test_a_setting_lands_on_the_sample_of_the_next_boundary(host, quantise, beat):
    host.set("/quantise", quantise)
    host.at(0.3)
    host.set("/preset", "drums")
    assert host.state.value("/preset") == ("all",)
    host.at(beat * 0.5 - AHEAD - 0.03)
    assert host.submitted == []
    host.at(beat * 0.5 - 0.01)
    assert landed(host) == [beat]
    assert host.state.value("/preset") == ("all",)
    host.at(beat * 0.5)
    assert host.state.value("/preset") == ("drums",)


def test_a_setting_shortly_before_the_beat_is_handed_over_at_once(host):
    host.set("/quantise", "beat")
    host.at(0.49)
    host.set("/preset", "drums")
    assert landed(host) == [1]


def test_what_waits_is_folded_and_lands_as_one(host):
    host.set("/quantise", "bar")
    for n in range(1000):
        host.set("/stem/vocals/gain", n / 1000)
    host.set("/preset", "drums")
    host.set("/stem/bass/gain", 0.75)
    host.at(2.0)
    assert [gains for _, gains in host.submitted] == [(0, 1, 1, 0)]
    assert host.state.value("/preset") == ("drums+bass",) or host.state.value("/preset") == ("",)


def test_what_has_a_time_of_its_own_does_not_wait(host):
    host.set("/quantise", "phrase")
    host.state.apply([Change((Message("/preset", ("drums",)),), START + 0.3)])
    host.at(0.25)
    assert [at for at, _ in host.submitted] == [round(0.3 * RATE)]


def test_what_waits_follows_a_tempo_that_changes(host):
    host.set("/quantise", "bar")
    host.at(0.5)
    host.set("/preset", "drums")
    host.set("/tempo/bpm", 60)
    host.at(3.4)
    # Beat 1 at half a second, and three more of a second each.
    assert [at / RATE for at, _ in host.submitted] == [3.5]


def test_switching_off_lets_what_waits_keep_its_boundary_and_the_rest_go(host):
    host.set("/quantise", "bar")
    host.at(0.2)
    host.set("/wet", 0.5)
    host.set("/quantise", "off")
    host.set("/preset", "drums")
    assert [at for at, _ in host.submitted] == [None]
    host.at(2.0)
    assert landed(host) == [4]
    assert host.state.value("/wet") == (0.5,)


def test_without_a_running_engine_what_waits_is_applied_on_the_beat():
    host = Host(running=False)
    host.set("/quantise", "beat")
    host.set("/preset", "drums")
    host.at(0.48)
    assert host.submitted == []
    host.at(0.52)
    assert host.state.value("/preset") == ("drums",)


def test_taps_set_the_tempo_and_the_bar(host):
    for n in range(5):
        host.at(1.23 + 0.4 * n)
        host.set("/tempo/tap")
    assert host.state.value("/tempo/bpm")[0] == pytest.approx(150)
    host.set("/quantise", "bar")
    host.at(1.23 + 5 * 0.4)
    host.set("/preset", "drums")
    host.at(6)
    assert [at for at, _ in host.submitted] == [pytest.approx((1.23 + 8 * 0.4) * RATE, abs=2)]


def test_bars_have_as_many_beats_as_they_are_told(host):
    host.set("/tempo/beats", 3)
    host.set("/tempo/bars", 2)
    host.set("/quantise", "phrase")
    host.set("/preset", "drums")
    host.at(3.0)
    assert landed(host) == [6]


def test_a_midi_clock_sets_tempo_and_boundaries_and_its_end_makes_everything_immediate(host):
    host.set("/tempo/source", "midi")
    host.set("/quantise", "beat")
    host.set("/preset", "bass")
    assert host.submitted.pop() == (None, (0, 0, 1, 0))
    host.tempo.hear(0xFA, 0, host.now)
    host.ticks(1.0, 60, 100, uneven=0.003)
    assert host.state.value("/tempo/bpm")[0] == pytest.approx(100, abs=1)
    host.set("/preset", "drums")
    host.ticks(1.0 + 60 * 0.6 / TICKS, 20, 100, uneven=0.003)
    # Beat 3 of one that started at 1 s.
    ((at, _),) = host.submitted
    assert at / RATE == pytest.approx(1 + 3 * 0.6, abs=0.005)
    host.tempo.hear(0xFC, 0, host.now)
    host.set("/preset", "bass")
    assert host.submitted[-1] == (None, (0, 0, 1, 0))


def test_what_waits_for_a_clock_that_stops_lands_when_it_would_have(host):
    host.set("/tempo/source", "midi")
    host.set("/quantise", "bar")
    host.ticks(0.0, 48, 120)
    host.set("/preset", "drums")
    host.tempo.hear(0xFC, 0, host.now)
    host.at(1.8)
    assert host.state.value("/preset") == ("all",)
    host.at(2.1)
    assert host.state.value("/preset") == ("drums",)


def test_what_waits_while_a_song_is_started_over_lands_on_its_first_beat(host):
    host.set("/tempo/source", "midi")
    host.set("/quantise", "phrase")
    host.ticks(0.0, 24 * 10, 120)
    host.set("/preset", "drums")
    host.tempo.hear(0xFA, 0, host.now)
    host.ticks(5.0, 24, 120)
    assert landed(host) == [pytest.approx(10, abs=0.01)]


def test_the_tempo_of_a_clock_is_not_set_nor_tapped_and_goes_on_without_it(host):
    host.set("/tempo/source", "midi")
    for address, values in (("/tempo/bpm", (90,)), ("/tempo/tap", ())):
        with pytest.raises(Refused, match="/tempo/source"):
            host.set(address, *values)
    host.ticks(0.0, 48, 90)
    host.set("/tempo/source", "internal")
    assert host.tempo.grid(host.now).beat_at(host.now) == pytest.approx(47 / TICKS)
    assert host.tempo.grid(host.now).bpm == pytest.approx(90)


def test_garbage_on_the_clock_hurts_nothing(host):
    host.set("/tempo/source", "midi")
    host.set("/quantise", "bar")
    dice = random.Random(0)
    for _ in range(5000):
        host.tempo.hear(dice.choice((0xF2, 0xF8, 0xFA, 0xFB, 0xFC)), dice.randrange(16384), host.now + dice.uniform(-9, 9))
        if dice.random() < 0.1:
            host.set("/wet", dice.random())
            host.at(host.now - START + dice.uniform(0, 0.1))
    host.set("/tempo/source", "internal")
    host.set("/quantise", "off")
    host.set("/preset", "drums")
    assert host.state.value("/preset") == ("drums",)


def test_without_its_package_link_is_refused_in_a_sentence(host, monkeypatch):
    monkeypatch.setitem(sys.modules, "link", None)
    with pytest.raises(Refused, match="link extra"):
        host.set("/tempo/source", "link")
    assert host.state.value("/tempo/source") == ("internal",)


@dataclass
class Session:
    """Stands for Link's session, which needs a network."""

    bpm: float
    enabled: bool = False

    def clock(self):
        return self

    def micros(self):
        return 0

    def captureSessionState(self):
        return self

    def commitSessionState(self, state):
        pass

    def tempo(self):
        return self.bpm

    def setTempo(self, bpm, micros):
        self.bpm = bpm

    def beatAtTime(self, micros, quantum):
        return quantum - 1.0


def test_link_gives_its_beat_takes_a_tempo_and_is_left(host, monkeypatch):
    made = []
    module = type(sys)("link")
    module.Link = lambda bpm: made.append(Session(bpm)) or made[0]
    monkeypatch.setitem(sys.modules, "link", module)
    host.set("/tempo/source", "link")
    until(lambda: host.state.value("/tempo/source") == ("link",))
    assert made[0].enabled
    host.set("/quantise", "phrase")
    host.set("/preset", "drums")
    assert host.state.quantiser.due(host.now) == START + 0.5
    host.set("/tempo/bpm", 90)
    assert made[0].bpm == 90
    host.set("/tempo/source", "internal")
    assert not made[0].enabled


def until(condition):
    due = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < due
        time.sleep(0.002)


@pytest.fixture
def slow_link(monkeypatch):
    """A Link that begins only when it is let."""
    let, made = threading.Event(), []

    def begin(bpm):
        let.wait(10)
        made.append(Session(bpm))
        return made[-1]

    module = type(sys)("link")
    module.Link = begin
    monkeypatch.setitem(sys.modules, "link", module)
    yield let, made
    let.set()


def test_controls_move_while_link_begins(host, slow_link):
    let, made = slow_link
    host.set("/tempo/source", "link")
    mover = threading.Thread(target=host.set, args=("/wet", 0.25))
    mover.start()
    mover.join(5)
    assert host.state.value("/wet") == (0.25,)
    assert host.state.value("/tempo/source") == ("internal",)
    let.set()
    until(lambda: host.state.value("/tempo/source") == ("link",))
    assert made[0].enabled


def test_a_link_that_is_no_longer_wanted_is_left_as_soon_as_it_has_begun(host, slow_link):
    let, made = slow_link
    host.set("/tempo/source", "link")
    host.set("/tempo/source", "midi")
    let.set()
    until(lambda: made and not made[0].enabled)
    assert host.state.value("/tempo/source") == ("midi",)
    host.set("/tempo/source", "link")
    until(lambda: host.state.value("/tempo/source") == ("link",))
    host.tempo.close()
    assert not any(session.enabled for session in made)


def test_a_link_that_cannot_begin_is_told_and_the_beat_goes_on(host, monkeypatch):
    def begin(bpm):
        raise RuntimeError("no network")

    module = type(sys)("link")
    module.Link = begin
    monkeypatch.setitem(sys.modules, "link", module)
    host.set("/tempo/source", "link")
    until(lambda: "no network" in host.state.value("/notice")[0])
    assert host.state.value("/tempo/source") == ("internal",)
    host.set("/tempo/tap")


def test_a_tap_may_follow_its_source_in_one_bundle_and_not_come_before_it(host):
    host.set("/tempo/source", "midi")
    host.state.apply([Change((Message("/tempo/source", ("internal",)), Message("/tempo/tap")))])
    host.set("/tempo/source", "midi")
    with pytest.raises(Refused, match="comes from midi"):
        host.state.apply([Change((Message("/tempo/tap"), Message("/tempo/source", ("internal",))))])
    assert host.state.value("/tempo/source") == ("midi",)
