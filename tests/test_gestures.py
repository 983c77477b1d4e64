"""Gestures on a host whose clock moves only when told: recorded, played, looped, taken over by hand."""

from __future__ import annotations

import random
import socket
import time

import pytest

from realtime.control import Refused
from realtime.gesture import Gesture, Point
from realtime.gesturefile import names_in, read_gesture, write_gesture
from realtime.gestures import HORIZON, LEAD, MOST_PLAYING, Gestures
from realtime.osc import OscServer, encode
from realtime.state import AHEAD, Change, ControlState, Message
from realtime.telemetry import Telemetry
from realtime.turn import Anchor, Turn

STEMS = ("vocals", "drums", "bass", "other")
RATE = 44100
START = 1_700_000_000.0


class Rig:
    """A Link that lands each Mix on its position, and a host's gestures on a clock that moves only when told."""

    def __init__(self, folder):
        self.now = START
        self.waiting, self.landed, self.told = [], [], []
        self.snapshot: Telemetry | None = None
        self.state = ControlState(STEMS, self, lambda: self.now)
        self.state.set_info("/rate", RATE)
        self.gestures = Gestures(self.state, self.told.append, folder)
        # By how much the clock that tracks the stream is wrong, in seconds.
        self.residual = 0.0
        self.folder = folder

    def submit(self, mix, at):
        here = self.position(self.now)
        self.waiting = [] if at is None else [w for w in self.waiting if w[1] < at]
        if at is None or at <= here:
            self.landed.append((here, mix))
        else:
            self.waiting.append((mix, at))

    def position(self, wall):
        return round((wall - START + self.residual) * RATE)

    def telemetry(self):
        return self.snapshot

    def change(self, address, value):
        self.gestures.ask(address, value)

    def until(self, seconds):
        """Let time pass until `seconds` after the start, as a host's threads do."""
        while True:
            self.gestures.turn()
            self.state.advance()
            self.now = min(self.now + 0.01, START + seconds)
            while self.waiting and self.waiting[0][1] <= self.position(self.now):
                mix, at = self.waiting.pop(0)
                self.landed.append((at, mix))
            if self.now >= START + seconds:
                self.state.advance()
                self.gestures.turn()
                return

    def at(self, seconds, address, *values):
        self.until(seconds)
        self.state.set(address, *values)

    def wet(self):
        """Return the moments, in seconds, at which the wet share became another, and what it became."""
        found, last = [], None
        for position, mix in self.landed:
            if mix.wet != last:
                found.append((position / RATE, mix.wet))
                last = mix.wet
        return found


@pytest.fixture
def rig(tmp_path):
    return Rig(tmp_path)


def keep(rig, name, length, *points):
    made = tuple(Point(t, Message(address, values)) for t, address, *values in points)
    write_gesture(Gesture(made, length), rig.folder / f"{name}.gesture", rig.state)


def close(found, expected):
    """Compare moments to within a sample, and values to 32 bits."""
    assert [v for _, v in found] == pytest.approx([v for _, v in expected], rel=1e-6)
    assert [t for t, _ in found] == pytest.approx([t for t, _ in expected], abs=1.1 / RATE)


# Recording.


def test_what_was_recorded_plays_the_same_values_at_the_same_times(rig):
    dice = random.Random(3)
    rig.at(1, "/gesture/record", "take")
    assert (rig.gestures.turn(), rig.state.value("/gesture/state")) == (1.0, ("recording take",))
    performed, now = [], 1.0
    for _ in range(200):
        now += dice.random() / 20 + 0.001
        address = dice.choice(["/wet", "/remainder/gain", "/stem/bass/gain", "/stem/vocals/mute", "/preset", "/condition"])
        values = {
            "/stem/vocals/mute": (dice.randrange(2),),
            "/preset": (dice.choice(["all", "no drums"]),),
            "/condition": tuple(dice.random() for _ in STEMS),
        }.get(address, (dice.random(),))
        rig.at(now, address, *values)
        performed.append((rig.now - START - 1, rig.state.mix))
    rig.at(now + 0.5, "/gesture/stop")
    rig.until(20)
    assert rig.told == [] and rig.state.value("/gesture/names") == ("take",)
    rig.landed.clear()
    rig.state.set("/gesture/play", "take")
    rig.until(40)
    played = [(at / RATE - 20 - LEAD, mix) for at, mix in rig.landed if at / RATE - 20 - LEAD > 0.0005]
    assert len(played) == len(performed) == 200
    for (t, mix), (u, other) in zip(played, performed, strict=True):
        assert t == pytest.approx(u, abs=1.1 / RATE)
        assert (*mix.gains, mix.wet, mix.remainder) == pytest.approx((*other.gains, other.wet, other.remainder), rel=1e-6)


def test_a_recording_begins_with_what_it_moves_as_it_was_and_with_nothing_else(rig):
    rig.state.set("/wet", 0.75)
    rig.at(1, "/gesture/record", "a")
    rig.at(2, "/wet", 0.5)
    rig.at(3, "/preset", "all")
    rig.at(4, "/gesture/end", "a")
    rig.until(5)
    gesture = read_gesture(rig.folder / "a.gesture", rig.state).gesture
    at_first = {point.message for point in gesture.points if point.time == 0}
    assert Message("/wet", (0.75,)) in at_first and len(at_first) == 1 + 3 * len(STEMS)
    assert [(p.time, p.message) for p in gesture.points if p.time] == [(1, ("/wet", (0.5,))), (2, ("/preset", ("all",)))]
    assert gesture.length == 3


def test_timed_changes_are_recorded_at_their_own_time_from_whoever_sends_them(rig):
    rig.state.apply([Change((Message("/wet", (0.25,)),), START + 1.000123)])
    rig.at(0.5, "/gesture/record", "a")
    rig.state.apply([Change((Message("/wet", (0.5,)),), START + 2.5)])
    rig.state.apply([Change((Message("/wet", (0.75,)),), START + 30)])
    rig.at(3, "/gesture/stop")
    rig.until(4)
    points = read_gesture(rig.folder / "a.gesture", rig.state).gesture.points
    assert [(p.time, *p.message.values) for p in points] == [(0, 1), (0.500123, 0.25), (2, 0.5)]


def test_a_recording_takes_in_what_gestures_play_and_nothing_that_was_stopped(rig):
    keep(rig, "swell", 1.0, (0.1, "/wet", 0.5), (0.2, "/wet", 0.25), (0.3, "/wet", 0.125))
    rig.at(1, "/gesture/record", "all of it")
    rig.at(1.1, "/gesture/play", "swell")
    rig.at(1.25 + LEAD, "/gesture/end", "swell")
    rig.at(2, "/gesture/stop")
    rig.until(2.1)
    points = read_gesture(rig.folder / "all of it.gesture", rig.state).gesture.points
    assert [(p.time, *p.message.values) for p in points] == [(0, 1), (0.2 + LEAD, 0.5)]


def test_a_second_recording_ends_the_first_and_an_empty_one_is_not_kept(rig):
    rig.at(1, "/gesture/record", "one")
    rig.at(2, "/wet", 0.5)
    rig.at(3, "/gesture/record", "two")
    rig.at(4, "/gesture/stop")
    rig.until(5)
    assert names_in(rig.folder) == ("one",)
    assert rig.told == ["no control was moved: there is no gesture 'two' to keep."]


def test_a_name_that_cannot_be_does_not_end_what_is_recorded(rig):
    rig.at(1, "/gesture/record", "one")
    rig.at(2, "/gesture/record", "../two")
    rig.at(3, "/wet", 0.5)
    rig.at(4, "/gesture/stop")
    rig.until(5)
    points = read_gesture(rig.folder / "one.gesture", rig.state).gesture.points
    assert [p.message.values for p in points] == [(1,), (0.5,)]
    assert len(rig.told) == 1


# Playing.


def test_played_changes_land_on_their_samples(rig):
    keep(rig, "cuts", 2.0, *((t / 7, "/wet", (t % 2) / 2) for t in range(14)))
    rig.at(1, "/gesture/play", "cuts")
    rig.until(5)
    close(rig.wet()[1:] if rig.wet()[0][0] < 1 else rig.wet(), [(1 + LEAD + t / 7, (t % 2) / 2) for t in range(14)])
    assert rig.state.late == 0 and rig.state.value("/gesture/state") == ("",)


def test_a_looped_gesture_comes_round_on_the_sample_and_ends_when_the_loop_does(rig):
    keep(rig, "pulse", 0.5, (0.0, "/wet", 1.0), (0.25, "/wet", 0.0))
    rig.state.set("/gesture/loop", 1)
    rig.at(1, "/gesture/play", "pulse")
    rig.at(2.2, "/gesture/loop", 0)
    rig.until(6)
    found = rig.wet()
    first = found.index((pytest.approx(1.25 + LEAD, abs=1e-3), 0))
    close(found[first:], [(1.25 + LEAD + n / 4, n % 2) for n in range(len(found) - first)])
    assert found[-1][0] == pytest.approx(2.25 + LEAD, abs=1.1 / RATE) and rig.state.value("/gesture/state") == ("",)


def test_changes_are_as_far_apart_as_the_gesture_says_though_the_tracking_of_the_clock_jitters(rig):
    dice = random.Random(4)
    keep(rig, "cuts", 4.0, *((t / 7, "/wet", (t % 2) / 2) for t in range(28)))
    rig.state.set("/gesture/loop", 1)
    rig.at(1, "/gesture/play", "cuts")
    for step in range(200):
        rig.residual = dice.uniform(-0.02, 0.02)
        rig.until(1 + step / 20)
    places = [at for at, mix in rig.landed if mix.wet < 1]
    exact = [round(t * RATE) for t in ([n / 7 for n in range(28)] + [4 + n / 7 for n in range(28)])]
    assert [at - places[1] for at in places[1:]][:50] == pytest.approx([at - exact[1] for at in exact[1:51]], abs=1.0)


def test_a_gesture_follows_a_stream_that_starts_anew(rig):
    keep(rig, "cuts", 9.0, *((t / 7, "/wet", (t % 2) / 2) for t in range(60)))
    rig.at(1, "/gesture/play", "cuts")
    rig.until(3)
    rig.residual = -2.0
    rig.landed.clear()
    rig.until(6)
    assert rig.landed[-1][0] / RATE == pytest.approx(rig.now - START - 2, abs=0.15)


def test_speed_counts_from_the_next_round_on(rig):
    keep(rig, "pulse", 1.0, (0.0, "/wet", 1.0), (0.5, "/wet", 0.0))
    rig.state.set("/gesture/loop", 1)
    rig.at(1, "/gesture/play", "pulse")
    rig.at(1.2, "/gesture/speed", 2)
    rig.until(4)
    close([m for m in rig.wet() if m[0] > 1.3][:5], [(LEAD + t, v) for t, v in [(1.5, 0), (2, 1), (2.25, 0), (2.5, 1), (2.75, 0)]])


def test_a_stopped_gesture_moves_nothing_more_not_even_what_was_handed_over(rig):
    keep(rig, "run", 5.0, *((t / 50, "/wet", t / 250) for t in range(250)))
    rig.at(1, "/gesture/play", "run")
    rig.at(2, "/gesture/stop")
    rig.gestures.turn()
    value = rig.state.value("/wet")
    rig.until(4)
    assert rig.state.value("/wet") == value == (pytest.approx(0.192, abs=0.005),)
    assert rig.wet()[-1][0] <= 2.0


def test_a_hand_takes_its_control_until_the_gesture_comes_round(rig):
    steps = [(t / 20, address, t / 40) for t in range(40) for address in ("/wet", "/remainder/gain")]
    keep(rig, "both", 2.0, *steps)
    rig.state.set("/gesture/loop", 1)
    rig.at(1, "/gesture/play", "both")
    rig.at(1.512, "/wet", 0.875)
    rig.until(2.9)
    assert rig.state.value("/wet") == (0.875,)
    assert rig.state.value("/remainder/gain") > (0.9,)
    assert [v for t, v in rig.wet() if 1.513 < t < 3] == []
    rig.until(4)
    assert rig.state.value("/wet") == (pytest.approx(0.475, abs=0.03),)


def test_a_hand_with_a_time_tag_takes_over_at_its_time(rig):
    keep(rig, "run", 5.0, *((t / 50, "/wet", t / 250) for t in range(250)))
    rig.at(1, "/gesture/play", "run")
    rig.until(1.5)
    rig.state.apply([Change((Message("/wet", (0.875,)),), START + 2.501)])
    rig.until(4)
    moments = [t for t, _ in rig.wet()]
    assert moments[-1] == pytest.approx(2.501, abs=1 / RATE) and moments[-2] == pytest.approx(2.49, abs=0.01)


def test_a_preset_of_a_gesture_leaves_the_stem_that_a_hand_holds(rig):
    keep(rig, "presets", 3.0, (0.5, "/preset", "all"), (1.0, "/preset", "drums"))
    rig.at(1, "/gesture/play", "presets")
    rig.at(1.2, "/stem/vocals/gain", 0.375)
    rig.until(3)
    assert rig.state.mix.gains == (pytest.approx(0.25), 1, 0, 0)


def test_a_hand_before_the_start_takes_nothing(rig):
    keep(rig, "a", 1.0, (0.5, "/wet", 0.25))
    rig.at(1, "/wet", 0.5)
    rig.state.set("/gesture/play", "a")
    rig.until(2)
    assert rig.state.value("/wet") == (0.25,)


def test_of_two_gestures_the_last_change_wins_and_the_same_one_starts_again(rig):
    keep(rig, "a", 1.0, (0.2, "/wet", 0.2), (0.8, "/wet", 0.8))
    keep(rig, "b", 1.0, (0.5, "/wet", 0.5))
    rig.at(1, "/gesture/play", "a")
    rig.state.set("/gesture/play", "b")
    rig.until(2.5)
    close([m for m in rig.wet() if m[1] < 1], [(1 + LEAD + t, t) for t in (0.2, 0.5, 0.8)])
    rig.landed.clear()
    rig.at(3, "/gesture/play", "a")
    rig.at(3.4, "/gesture/play", "a")
    rig.until(5)
    close([m for m in rig.wet() if m[1] < 0.7], [(3 + LEAD + 0.2, 0.2)])
    close([m for m in rig.wet() if m[1] > 0.7], [(3.4 + LEAD + 0.8, 0.8)])


def test_a_gesture_with_the_sound_keeps_the_time_of_the_stream(rig):
    from realtime.latency import Latency

    gesture = Gesture((Point(0.25, Message("/wet", (0.5,))), Point(1.0, Message("/wet", (0.25,)))), 2.0)
    rig.gestures.play_with_sound("a", gesture)
    rig.until(0.5)
    rig.snapshot = Telemetry(
        hops=1, misses=0, xruns=0, position=0, latency=Latency(512, 0, 512), rate=RATE, hop=512, block=512,
        work_ms=(1.0, 1.0, 1.0, 1.0), deadline_ms=1.0, load=0.1, clock=(0, START + 0.125),
    )  # fmt: skip
    rig.until(2)
    found = rig.wet()
    assert (found[-2][1], found[-1]) == (0.5, (pytest.approx(1.125, abs=1 / RATE), 0.25))
    assert found[-2][0] == pytest.approx(0.5, abs=0.03) and rig.state.late == 0


def test_a_machine_that_slept_goes_on_with_the_round_of_now(rig):
    keep(rig, "pulse", 0.5, (0.0, "/wet", 1.0), (0.25, "/wet", 0.0))
    rig.state.set("/gesture/loop", 1)
    rig.at(1, "/gesture/play", "pulse")
    rig.until(2)
    rig.now += 3600
    count = len(rig.landed)
    rig.gestures.turn()
    assert len(rig.landed) - count < 20
    rig.until(3603)
    assert rig.wet()[-1][0] > 3602


def test_a_hand_that_waits_for_the_beat_takes_over_when_it_comes(rig):
    class Quantiser:
        """Holds everything until two seconds after the start."""

        held = ()

        def hold(self, messages, now):
            self.held += messages
            return True

        def due(self, now):
            return START + 2 if self.held else None

        def take(self, now, before):
            if not self.held or before < START + 2:
                return None
            held, self.held = self.held, ()
            return START + 2, held

    keep(rig, "run", 5.0, *((t / 50, "/wet", t / 250) for t in range(250)))
    rig.at(1, "/gesture/play", "run")
    rig.until(1.5)
    rig.state.quantiser = Quantiser()
    rig.state.set("/wet", 0.875)
    rig.until(4)
    assert rig.wet()[-1] == (pytest.approx(2, abs=1 / RATE), 0.875)
    assert rig.wet()[-2][0] == pytest.approx(2, abs=0.03)


def test_a_key_plays_a_gesture_and_a_button_stops_it(rig):
    from realtime.midi.entry import Entry
    from realtime.midi.event import Event
    from realtime.midi.mapper import Mapper
    from realtime.midi.source import Source

    keep(rig, "run", 9.0, *((t / 50, "/wet", t / 500) for t in range(450)))
    play = Entry("/gesture/play", Source("note", 60, 1), "set", "run")
    stop = Entry("/gesture/stop", Source("cc", 20, 1), "set")
    mapper = Mapper((play, stop), rig.state.controls, rig.state.value)
    states = []
    for event in (Event("note", 1, 60, 100), Event("cc", 1, 20, 127)):
        for message in mapper.take(event):
            rig.state.set(message.address, *message.values)
        rig.until(rig.now - START + 1)
        states.append(rig.state.value("/gesture/state"))
    assert states == [("playing run",), ("",)]


# What may go wrong.


@pytest.mark.parametrize(
    ("address", "value", "sentence"),
    [
        ("/gesture/play", "nothing", "there is no gesture 'nothing', but a; nothing is played."),
        ("/gesture/play", "../a", "there is no gesture '../a', but a; nothing is played."),
        ("/gesture/record", "../a", "a gesture cannot be called '../a'"),
        ("/gesture/end", "a", "no gesture 'a' is played or recorded; nothing was stopped."),
        ("/gesture/play", "empty", "there is nothing in the gesture 'empty'; nothing is played."),
    ],
)
def test_what_cannot_be_done_is_told(rig, address, value, sentence):
    keep(rig, "a", 1.0, (0.5, "/wet", 0.25))
    if value == "empty":
        keep(rig, "empty", 1.0)
    rig.state.set(address, value)
    rig.until(1)
    assert len(rig.told) == 1 and rig.told[0].startswith(sentence)


def test_a_broken_line_is_told_and_the_rest_plays(rig):
    (rig.folder / "a.gesture").write_text("0.1 /wet 7\n0.2 /wet 0.25\n")
    rig.state.set("/gesture/play", "a")
    rig.until(1)
    assert rig.state.value("/wet") == (0.25,)
    assert rig.told == ["a.gesture, line 1, values: /wet takes a number from 0 to 1, not 7; the line is left out."]


def test_controls_of_gestures_are_checked_like_any_other(rig):
    for address, *values in [("/gesture/play",), ("/gesture/play", 1), ("/gesture/speed", 0.01), ("/gesture/loop", 2), ("/gesture/names", "x")]:
        with pytest.raises(Refused):
            rig.state.set(address, *values)
    with pytest.raises(Refused, match="no value to get"):
        rig.state.value("/gesture/play")


def test_a_flood_of_wishes_and_of_gestures_is_bounded(rig):
    for number in range(MOST_PLAYING + 5):
        keep(rig, f"g{number}", 9.0, (8.0, "/wet", 0.5))
    for number in range(MOST_PLAYING + 5):
        rig.state.set("/gesture/play", f"g{number}")
    rig.gestures.turn()
    assert rig.state.value("/gesture/state")[0].count("playing") == MOST_PLAYING and len(rig.told) == 5
    for _ in range(10_000):
        rig.state.set("/gesture/play", "g1")
    assert len(rig.gestures._wishes) <= 64


def test_changes_are_scheduled_earlier_than_the_engine_needs_them():
    assert HORIZON - 0.1 > AHEAD


def test_a_gesture_is_recorded_and_played_over_osc(tmp_path):
    rig = Rig(tmp_path)
    rig.state.clock = time.time
    with OscServer(rig.state, port=0) as server, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        rig.gestures.start()

        def send(address, tags, *values):
            client.sendto(encode(address, tags, values), ("127.0.0.1", server.port))

        def wait(condition):
            limit = time.monotonic() + 10
            while not condition():
                assert time.monotonic() < limit
                time.sleep(0.005)

        send("/gesture/record", "s", "take")
        send("/wet", "f", 0.25)
        wait(lambda: rig.state.value("/gesture/state") == ("recording take",))
        send("/gesture/stop", "")
        wait(lambda: rig.state.value("/gesture/names") == ("take",))
        send("/wet", "f", 0.5)
        wait(lambda: rig.state.value("/wet") == (0.5,))
        send("/gesture/play", "s", "take")
        wait(lambda: rig.state.value("/wet") == (0.25,))
        rig.gestures.close()


def test_a_hand_may_take_a_control_while_what_it_took_before_is_looked_through():
    turn = Turn(0.0, 10.0, Anchor(0.0))
    turn.take(["/wet"], 1.0)
    for _ in turn.taken:
        turn.take(["/glide"], 2.0)
    assert turn.taken == {"/wet": 1.0, "/glide": 2.0}
