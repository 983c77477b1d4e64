"""MIDI without ports: what is read, mapped, learnt, taken over and shown; and the thread, with ports that are played."""

from __future__ import annotations

import threading
import time

import pytest

import run_live
from realtime.control import Refused, controls_for
from realtime.errors import HostError
from realtime.midi.assembler import Assembler
from realtime.midi.entry import Entry, position_of, value_at
from realtime.midi.event import Event, event_of
from realtime.midi.feedback import BURST, INTERVAL, QUIET, Feedback
from realtime.midi.learner import PRESS, Learner
from realtime.midi.map import MidiMap, entry_text, parse_map, read_map, write_map
from realtime.midi.mapper import Mapper
from realtime.midi.ports import partner
from realtime.midi.source import ENCODINGS, Source, steps
from realtime.midi.surface import ADDRESSES, Surface, waited_for
from realtime.state import ControlState

STEMS = ("vocals", "drums", "bass", "other")
CONTROLS = controls_for(STEMS)
VOCALS = "/stem/vocals/gain"


class Link:
    def __init__(self):
        self.submitted, self.asked = [], []

    def submit(self, mix, at):
        self.submitted.append((mix, at))

    def position(self, wall):
        return None

    def telemetry(self):
        return None

    def change(self, address, value):
        self.asked.append((address, value))


@pytest.fixture
def state():
    return ControlState(STEMS, Link())


def cc(number, value, channel=1):
    return Event("cc", channel, number, value)


def note(number, velocity=100, channel=1):
    return Event("note", channel, number, velocity)


class Hands:
    """A mapper whose messages reach the state at once."""

    def __init__(self, state, *entries):
        self.state, self.touches = state, []
        self.mapper = Mapper(entries, state.controls, state.value, lambda entry, at: self.touches.append(at))
        state.watch(lambda changed: self.changed.update(changed))
        self.changed = set()

    def __call__(self, *events):
        for event in events:
            self.take(self.mapper.take(event))

    def take(self, messages):
        for message in messages:
            self.state.set(message.address, *message.values)
        for address in self.changed:
            self.mapper.changed(address)
        self.changed.clear()

    def other(self, address, value):
        """Someone else sets a value."""
        self.state.set(address, value)
        self.take([])

    def value(self, address=VOCALS):
        return self.state.value(address)[0]


# Events and encodings.


@pytest.mark.parametrize(
    ("data", "event"),
    [
        ((0x90, 60, 1), Event("note", 1, 60, 1)),
        ((0x90, 60, 0), Event("note", 1, 60, 0)),
        ((0x8F, 60, 64), Event("note", 16, 60, 0)),
        ((0xB2, 7, 127), Event("cc", 3, 7, 127)),
        ((0xC0, 5), Event("program", 1, 0, 5)),
        ((0xE0, 127, 127), Event("bend", 1, 0, 16383)),
    ],
)
def test_messages_are_read(data, event):
    assert event_of(data) == event


@pytest.mark.parametrize("data", [(), (0xF8,), (0xB0, 7), (0xB0, 7, 128), (0xB0, 7, 1, 1), (7, 7, 7), (0xF0, 1, 0xF7)])
def test_what_is_no_channel_message_is_nothing(data):
    assert event_of(data) is None


@pytest.mark.parametrize(
    ("encoding", "up", "up3", "down", "down3"),
    [("twos-complement", 1, 3, 127, 125), ("offset", 65, 67, 63, 61), ("sign-magnitude", 1, 3, 65, 67)],
)
def test_encoders_tell_their_steps_in_three_ways(encoding, up, up3, down, down3):
    assert [steps(value, encoding) for value in (up, up3, down, down3)] == [1, 3, -1, -3]


def test_the_halves_of_fourteen_bits_are_joined_and_a_lost_half_is_given_up():
    assembler = Assembler([Source("cc14", 1)])
    assert assembler.take(cc(1, 127)) == []
    (reading,) = assembler.take(cc(33, 127))
    assert (reading.value, reading.top) == (16383, 16383)
    assert assembler.take(cc(1, 64)) == []
    assert [r.value for r in assembler.flush()] == [64 << 7]
    assert [r.value for r in assembler.take(cc(33, 5))] == [64 << 7 | 5]
    assert assembler.flush() == []


def test_a_fader_that_sends_upper_halves_only_still_reaches_both_ends():
    assembler = Assembler([Source("cc14", 1)])
    assert assembler.take(cc(1, 0)) == []
    (low,) = assembler.take(cc(1, 127))
    (high,) = assembler.flush()
    assert (low.value / low.top, high.value / high.top) == (0, 1)


def test_parameters_are_told_apart_and_registered_ones_left_alone():
    assembler = Assembler([Source("nrpn", 300)])
    parameter = [cc(99, 300 >> 7), cc(98, 300 & 127)]
    readings = [r for e in [*parameter, cc(6, 100), cc(38, 3)] for r in assembler.take(e)]
    assert [(r.kind, r.number, r.value) for r in readings] == [("nrpn", 300, 100 << 7 | 3)]
    readings = [r for e in [cc(101, 0), cc(100, 0), cc(6, 2)] for r in assembler.take(e)]
    assert [r.kind for r in readings] == ["cc"]


# The mapper.


def test_a_knob_moves_a_value_only_once_it_has_come_to_it(state):
    hands = Hands(state, Entry(VOCALS, Source("cc", 7), "value"))
    hands(cc(7, 10), cc(7, 60))
    assert hands.value() == 0.75
    hands(cc(7, 100))
    assert hands.value() == pytest.approx(100 / 127)
    hands(cc(7, 30))
    assert hands.value() == pytest.approx(30 / 127)
    hands.other("/preset", "drums")
    hands(cc(7, 31), cc(7, 90))
    assert hands.value() == 0.0
    hands(cc(7, 0), cc(7, 90))
    assert hands.value() == pytest.approx(90 / 127)


def test_a_knob_keeps_its_hold_on_a_value_that_waits_for_its_time(state):
    hands = Hands(state, Entry(VOCALS, Source("cc", 7), "value"))
    assert hands.mapper.take(cc(7, 95))
    # The state still says 0.75; the knob goes on all the same.
    assert [m.values for m in hands.mapper.take(cc(7, 20))] == [(20 / 127,)]


def test_a_knob_without_takeover_moves_the_value_at_once_between_its_ends(state):
    hands = Hands(state, Entry(VOCALS, Source("cc", 7), "value", low=0.75, high=0.25, takeover=False))
    hands(cc(7, 127))
    assert hands.value() == 0.25
    hands(cc(7, 0))
    assert hands.value() == 0.75
    assert hands.mapper.shown(hands.mapper.entries[0]) == 0


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_an_encoder_moves_the_value_from_where_it_is_and_stops_at_the_ends(state, encoding):
    hands = Hands(state, Entry(VOCALS, Source("relative", 16, None, encoding), "value", step=0.05))
    up = {"twos-complement": 1, "offset": 65, "sign-magnitude": 1}[encoding]
    down = {"twos-complement": 127, "offset": 63, "sign-magnitude": 65}[encoding]
    hands(cc(16, up), cc(16, up))
    assert hands.value() == pytest.approx(0.85)
    hands.other(VOCALS, 0.1)
    hands(cc(16, down))
    assert hands.value() == pytest.approx(0.05)
    hands(*[cc(16, down)] * 3)
    assert hands.value() == 0


def test_a_solo_holds_as_long_as_its_key(state):
    hands = Hands(state, Entry("/stem/vocals/solo", Source("note", 36), "hold"))
    hands(note(36))
    assert hands.value("/stem/vocals/solo") == 1
    hands(note(36, 0))
    assert hands.value("/stem/vocals/solo") == 0
    hands.other("/stem/vocals/solo", 1)
    hands(note(36), note(36, 0))
    assert hands.value("/stem/vocals/solo") == 1


def test_a_held_preset_gives_back_every_gain(state):
    hands = Hands(state, Entry("/preset", Source("note", 1), "hold", "drums"))
    state.set(VOCALS, 0.3)
    state.set("/stem/bass/mute", 1)
    before = {a: state.value(a) for a in state.controls if a.startswith("/stem/")}
    hands(note(1))
    assert hands.value("/preset") == "drums"
    hands(note(1, 0))
    assert {a: state.value(a) for a in before} == before


def test_two_keys_hold_one_control_until_the_last_goes_and_losing_both_gives_it_back(state):
    hands = Hands(state, *(Entry("/stem/vocals/solo", Source("note", n), "hold") for n in (1, 2)))
    hands(note(1), note(2), note(1, 0))
    assert hands.value("/stem/vocals/solo") == 1
    hands(note(2, 0))
    assert hands.value("/stem/vocals/solo") == 0
    hands(note(1))
    hands.take(hands.mapper.release())
    assert hands.value("/stem/vocals/solo") == 0
    hands(note(1, 0))
    assert hands.value("/stem/vocals/solo") == 0


def test_a_latch_turns_over_at_each_press_and_a_follower_does_as_its_button(state):
    hands = Hands(
        state,
        Entry("/stem/drums/mute", Source("cc", 20), "latch"),
        Entry("/stem/bass/mute", Source("cc", 21), "follow"),
    )
    hands(cc(20, 127), cc(20, 0), cc(21, 127))
    assert (hands.value("/stem/drums/mute"), hands.value("/stem/bass/mute")) == (1, 1)
    hands(cc(20, 127), cc(21, 0))
    assert (hands.value("/stem/drums/mute"), hands.value("/stem/bass/mute")) == (0, 0)


def test_presets_come_by_key_by_program_and_by_knob(state):
    hands = Hands(
        state,
        Entry("/preset", Source("note", 40), "set", "acapella"),
        Entry("/preset", Source("program", None), "value"),
        Entry("/preset", Source("cc", 9), "value", takeover=False),
    )
    hands(note(40))
    assert hands.value("/preset") == "acapella"
    names = state.value("/presets")
    hands(Event("program", 1, 0, 3))
    assert hands.value("/preset") == names[3]
    hands(Event("program", 1, 0, len(names)))
    assert hands.value("/preset") == names[3]
    hands(cc(9, 127))
    assert hands.value("/preset") == names[-1]


def test_every_place_of_a_list_or_a_range_is_reached_and_found_again():
    for address in ("/preset", "/glide", "/bypass", "/tempo/bars", "/run"):
        control = CONTROLS[address]
        for place in (0, 0.2, 0.5, 0.9, 1):
            value = value_at(control, place)
            assert control.accept((value,)) == (value,)
            assert value_at(control, position_of(control, value)) == value


# Learning.


def learn(address, *events, value=None, apart=0.01):
    learner = Learner(CONTROLS[address], value)
    for count, event in enumerate(events):
        if (entry := learner.take(event, count * apart)) is not None:
            return entry
    return learner.hint


def pairs(*values):
    return [cc(*half) for value in values for half in ((3, value >> 7), (35, value & 127))]


@pytest.mark.parametrize(
    ("events", "source"),
    [
        ([cc(7, v) for v in (40, 41, 42, 43)], Source("cc", 7, 1)),
        ([cc(7, v) for v in range(1, 14)], Source("cc", 7, 1)),
        ([cc(7, v) for v in (66, 65, 64, 63, 60, 55, 50)], Source("cc", 7, 1)),
        (pairs(9000, 9010, 9020), Source("cc14", 3, 1)),
        ([cc(99, 2, 5), cc(98, 3, 5), cc(6, 10, 5)], Source("nrpn", 259, 5)),
        ([cc(16, v) for v in (1, 1, 2, 127, 126)], Source("relative", 16, 1, "twos-complement")),
        ([cc(16, v) for v in (65, 65, 66, 63)], Source("relative", 16, 1, "offset")),
        ([cc(16, v) for v in (1, 1, 65, 65)], Source("relative", 16, 1, "sign-magnitude")),
        ([Event("bend", 2, 0, 9000)], Source("bend", 0, 2)),
        ([note(60)], Source("note", 60, 1)),
        # Another knob that is brushed against.
        ([cc(8, 10), *(cc(7, v) for v in (40, 41, 42))], Source("cc", 7, 1)),
    ],
)
def test_the_kind_of_a_knob_is_learnt_from_how_it_moves(events, source):
    entry = learn(VOCALS, *events)
    assert (entry.source, entry.action) == (source, "value")


def test_an_encoder_that_is_turned_one_way_only_is_asked_to_turn_back():
    assert "other way" in learn(VOCALS, *[cc(16, 1)] * 5)


def test_a_button_that_is_let_go_latches_and_one_that_stays_on_is_followed():
    press = cc(20, 127), cc(20, 0)
    assert learn("/stem/drums/mute", *press, apart=0.1).action == "latch"
    assert learn("/stem/drums/mute", *press, apart=PRESS + 0.1).action == "follow"
    assert learn("/stem/drums/mute", note(4)).action == "latch"
    assert learn("/stem/drums/solo", note(4)).action == "hold"


def test_keys_learn_presets_and_taps_by_name():
    assert learn("/preset", note(4), value="drums") == Entry("/preset", Source("note", 4, 1), "set", "drums")
    assert learn("/preset", Event("program", 1, 0, 4)).source == Source("program", None, 1)
    assert "name it" in learn("/preset", note(4))
    assert learn("/tempo/tap", cc(20, 127)).action == "set"
    assert learn("/gesture/play", note(5), value="verse").text.endswith("-> /gesture/play verse")
    assert learn("/gesture/stop", note(6)).action == "set"
    with pytest.raises(Refused, match="needs a value"):
        Learner(CONTROLS["/gesture/play"])


@pytest.mark.parametrize("address", ["/condition", "/stems", "/subscribe", "/midi/learn", "/telemetry/load"])
def test_what_no_knob_can_move_is_not_learnt(address):
    with pytest.raises(Refused, match="nothing is learnt"):
        Learner(CONTROLS[address])


# The map's file.

BROKEN = """\
# mine
[[map]]
control = "/stem/vocals/gain"
from = "cc"
number = 7
colour = "red"   # unknown, and kept

[[map]]
control = "/stem/drums/gain"
from = "cc"
number = 300

[[map]]
control = "/stem/bass/gain"
from = "cc"
number = = 8

[[map]]
control = "/stem/piano/gain"
from = "cc"
number = 9

[[map]]
control = "/stem/vocals/solo"
from = "note"
number = 36

[extras]
a = 1
"""


def test_a_broken_entry_is_named_with_line_and_field_and_the_rest_holds():
    midi_map = parse_map(BROKEN, "midi.toml", CONTROLS)
    assert [entry.control for entry in midi_map.entries] == ["/stem/vocals/gain", "/stem/vocals/solo"]
    starts = ["midi.toml, line 11, number: ", "midi.toml, line 16, number: ", "midi.toml, line 19, control: "]
    assert [any(p.startswith(s) for s in starts) for p in midi_map.problems] == [True] * 3
    assert midi_map.text == BROKEN


def test_learning_changes_one_entry_and_keeps_the_rest_of_the_file():
    midi_map = parse_map(BROKEN, "midi.toml", CONTROLS)
    after = midi_map.learnt(Entry(VOCALS, Source("cc14", 1, 2), "value"))
    again = parse_map(after.text, "midi.toml", CONTROLS)
    assert again.entries[0].source == Source("cc14", 1, 2)
    assert again.entries[0].extra == {"colour": "red"}
    assert after.text.split("[[map]]")[2:] == BROKEN.split("[[map]]")[2:]
    assert after.text.startswith("# mine\n[[map]]\n")


def test_a_knob_that_is_learnt_anew_leaves_what_it_moved_before():
    midi_map = MidiMap().learnt(Entry(VOCALS, Source("cc", 7, 1), "value"))
    midi_map = midi_map.learnt(Entry("/wet", Source("cc", 7, 1), "value"))
    assert [entry.control for entry in midi_map.entries] == ["/wet"]
    assert midi_map.without("/wet").entries == ()


@pytest.mark.parametrize(
    "entry",
    [
        Entry(VOCALS, Source("cc14", 3, 16), "value", low=0.5, high=0.25, takeover=False),
        Entry(VOCALS, Source("relative", 3, None, "offset"), "value", step=0.002, extra={"a b": [1, {"c": "d\"\n\x7fé"}]}),
        Entry("/preset", Source("note", 1), "hold", "drums+bass", feedback=False),
        Entry("/stem/vocals/mute", Source("program", 5), "latch"),
        Entry("/tempo/tap", Source("cc", 0), "set"),
        Entry("/gesture/stop", Source("note", 0), "set"),
        Entry("/glide", Source("bend"), "value"),
    ],
)
def test_an_entry_is_read_as_it_was_written(entry):
    midi_map = parse_map(entry_text(entry), "midi.toml", CONTROLS)
    assert midi_map.problems == ()
    assert midi_map.entries == (entry,)


@pytest.mark.parametrize(
    ("lines", "field"),
    [
        ('control = "/condition"\nfrom = "cc"\nnumber = 1', "control"),
        ('from = "cc"\nnumber = 1', "control"),
        ('control = "/wet"\nnumber = 1', "from"),
        ('control = "/wet"\nfrom = "knob"', "from"),
        ('control = "/wet"\nfrom = "cc"', "number"),
        ('control = "/wet"\nfrom = "cc"\nnumber = true', "number"),
        ('control = "/wet"\nfrom = "cc14"\nnumber = 32', "number"),
        ('control = "/wet"\nfrom = "relative"\nnumber = 1', "encoding"),
        ('control = "/wet"\nfrom = "cc"\nnumber = 1\nchannel = 0', "channel"),
        ('control = "/wet"\nfrom = "cc"\nnumber = 1\naction = "latch"', "action"),
        ('control = "/wet"\nfrom = "cc"\nnumber = 1\naction = "hold"', "value"),
        ('control = "/wet"\nfrom = "cc"\nnumber = 1\nvalue = 2', "value"),
        ('control = "/wet"\nfrom = "cc"\nnumber = 1\nhigh = nan', "high"),
        ('control = "/wet"\nfrom = "cc"\nnumber = 1\ntakeover = 1', "takeover"),
        ('control = "/wet"\ncontrol = "/wet"', "control"),
        ('control = "/gesture/play"\nfrom = "note"\nnumber = 1', "value"),
        ('control = 5', "control"),
        ('control = "/wet', "control"),
    ],
)
def test_what_does_not_fit_is_named_by_its_field(lines, field):
    midi_map = parse_map(f"[[map]]\n{lines}\n", "m.toml", CONTROLS)
    assert midi_map.entries == ()
    (problem,) = midi_map.problems
    assert problem.split(":")[0].endswith(f", {field}")
    assert "the rest holds" in problem


def test_a_map_that_is_not_there_is_empty_unless_it_was_named(tmp_path):
    assert read_map(tmp_path / "none.toml", CONTROLS).entries == ()
    with pytest.raises(HostError, match="there is no MIDI map"):
        read_map(tmp_path / "none.toml", CONTROLS, must=True)
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(HostError, match="cannot be read"):
        read_map(tmp_path / "bytes.toml", CONTROLS)


def test_a_map_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "new" / "midi.toml"
    midi_map = MidiMap().learnt(Entry(VOCALS, Source("cc", 7, 1), "value"))
    write_map(path, midi_map)
    assert read_map(path, CONTROLS).entries == midi_map.entries
    assert [p.name for p in path.parent.iterdir()] == ["midi.toml"]
    (tmp_path / "file").touch()
    with pytest.raises(HostError, match="cannot be written"):
        write_map(tmp_path / "file" / "midi.toml", midi_map)


# Feedback.


def test_a_fader_is_told_nothing_while_it_moves_and_then_what_became_of_its_value():
    fader, feedback = Entry(VOCALS, Source("cc", 7), "value"), Feedback()
    feedback.touched(fader, 100 / 127, 1.0)
    assert feedback.take(1.0, lambda entry: 0.1) == []
    assert feedback.take(1.0 + QUIET, lambda entry: 0.5) == [[0xB0, 7, 64]]


def test_a_fader_is_not_told_what_it_said_itself():
    fader, feedback = Entry(VOCALS, Source("cc14", 7), "value"), Feedback()
    feedback.touched(fader, 0.3, 1.0)
    assert feedback.take(9.0, lambda entry: 0.3) == []


def test_a_key_is_shown_again_after_each_press():
    key, feedback = Entry("/stem/vocals/mute", Source("note", 4, 3), "latch"), Feedback()
    feedback.changed(key)
    assert feedback.take(1.0, lambda entry: 1.0) == [[0x92, 4, 127]]
    feedback.touched(key, None, 1.5)
    assert feedback.take(2.0, lambda entry: 1.0) == [[0x92, 4, 127]]


def test_feedback_is_limited_and_shows_the_last_value_only():
    entries, feedback = [Entry(VOCALS, Source("cc", n), "value") for n in range(2 * BURST)], Feedback()
    sent = 0
    for round_number in range(100):
        for entry in entries:
            feedback.changed(entry)
        sent += len(feedback.take(10 + round_number * INTERVAL / 10, lambda entry, n=round_number: n / 100))
    assert BURST <= sent <= 11 * BURST
    quiet = Entry(VOCALS, Source("cc", 1), "value", feedback=False)
    nothing = Feedback()
    nothing.changed(quiet)
    assert nothing.take(1.0, lambda entry: 1.0) == []


# Ports and the thread.


@pytest.mark.parametrize(
    ("name", "outputs", "found"),
    [
        ("nanoKONTROL2 MIDI 1", ["Midi Through", "nanoKONTROL2 MIDI 1"], "nanoKONTROL2 MIDI 1"),
        ("Knobs:out", ["Other:in", "Knobs:in"], "Knobs:in"),
        ("Knobs-01:out", ["Knobs:in"], "Knobs:in"),
        ("X-Touch:X-Touch MIDI 1 20:0", ["X-Touch:X-Touch MIDI 1 20:0"], "X-Touch:X-Touch MIDI 1 20:0"),
        ("Knobs:out", ["Other:in"], None),
    ],
)
def test_a_controller_is_shown_its_values_on_its_own_output(name, outputs, found):
    assert partner(name, outputs) == found


class Cable:
    """One controller, played by the test."""

    def __init__(self, name):
        self.name, self.coming, self.told, self.closed = name, [], [], False

    def read(self):
        coming, self.coming = self.coming, []
        return [(list(data), 0.0) for data in coming]

    def send(self, message):
        self.told.append(tuple(message))

    def close(self):
        self.closed = True


class Desk:
    """Ports that come and go."""

    def __init__(self):
        self.names, self.opened = [], []

    def inputs(self):
        return list(self.names)

    outputs = inputs

    def open(self, name):
        self.opened.append(Cable(name))
        return self.opened[-1]

    def reset(self):
        pass


def wait_for(condition):
    limit = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.005)


@pytest.fixture
def desk(monkeypatch):
    monkeypatch.setattr("realtime.midi.surface.SEARCH", 0.02)
    return Desk()


@pytest.fixture
def surface(state, desk, tmp_path):
    surface = Surface(state, desk, ["knobs"], tmp_path / "midi.toml", MidiMap())
    state.link.change = surface.change
    state.checks |= dict.fromkeys(ADDRESSES, surface.check)
    yield surface
    surface.close()


def test_a_control_is_learnt_over_its_address_saved_and_forgotten_again(state, surface, desk, tmp_path):
    desk.names = ["My Knobs"]
    wait_for(lambda: state.value("/midi/state") == ("My Knobs",))
    state.set("/midi/learn", VOCALS)
    wait_for(lambda: state.value("/midi/learn") == (VOCALS,))
    assert "move a knob" in state.value("/midi/state")[0]
    desk.opened[0].coming = [(0xB0, 7, v) for v in (90, 91, 92, 93)]
    wait_for(lambda: state.value("/midi/map")[0].startswith("cc 7, channel 1 ->"))
    assert state.value("/midi/learn") == ("",)
    desk.opened[0].coming = [(0xB0, 7, 95), (0xB0, 7, 127)]
    wait_for(lambda: state.value(VOCALS) == (1.0,))
    assert [e.control for e in read_map(tmp_path / "midi.toml", CONTROLS).entries] == [VOCALS]
    with pytest.raises(Refused, match="nothing moves"):
        state.set("/midi/unlearn", "/wet")
    state.set("/midi/unlearn", VOCALS)
    wait_for(lambda: state.value("/midi/map") == ("",))


def test_a_controller_that_vanishes_is_noted_once_lets_go_and_resumes(state, surface, desk):
    notices = []
    state.watch(lambda changed: notices.append(state.value("/notice")[0]) if "/notice" in changed else None)
    desk.names = ["knobs"]
    wait_for(lambda: state.value("/midi/state") == ("knobs",))
    state.set("/midi/learn", "/stem/drums/solo")
    wait_for(lambda: state.value("/midi/learn")[0])
    desk.opened[0].coming = [(0x90, 36, 100)]
    wait_for(lambda: state.value("/midi/map")[0])
    desk.opened[0].coming = [(0x80, 36, 0), (0x90, 36, 100)]
    wait_for(lambda: state.value("/stem/drums/solo") == (1,))
    desk.names = []
    wait_for(lambda: state.value("/midi/state") == ("waiting for knobs",))
    assert desk.opened[0].closed
    wait_for(lambda: state.value("/stem/drums/solo") == (0,))
    time.sleep(0.1)
    assert sum("looked for again" in notice for notice in notices) <= 2
    desk.names = ["knobs"]
    wait_for(lambda: state.value("/midi/state") == ("knobs",))
    state.set("/stem/drums/solo", 1)
    wait_for(lambda: (0x90, 36, 127) in desk.opened[1].told)


def test_values_are_shown_and_clocks_heard(state, desk, tmp_path):
    heard = []
    fader = Entry(VOCALS, Source("cc", 7), "value")
    desk.names = ["knobs"]
    surface = Surface(
        state, desk, ["knobs"], tmp_path / "midi.toml", MidiMap().learnt(fader), lambda *message: heard.append(message[:2])
    )
    wait_for(lambda: desk.opened and desk.opened[0].told)
    assert desk.opened[0].told[0] == (0xB0, 7, 95)
    desk.opened[0].coming = [(0xF8,), (0xF2, 4, 1), (0xFE,), (0xF0, 1, 0xF7)]
    wait_for(lambda: len(heard) == 2)
    assert heard == [(0xF8, 0), (0xF2, 132)]
    state.set(VOCALS, 1.0)
    wait_for(lambda: desk.opened[0].told[-1] == (0xB0, 7, 127))
    surface.close()
    assert desk.opened[0].closed
    assert not any(thread.name == "midi" for thread in threading.enumerate())


def test_a_name_that_no_port_has_is_said_with_the_ports_that_there_are(desk):
    desk.names = ["Launch Control", "keys:out"]
    (said,) = waited_for(desk, ["launch", "knobs"])
    assert said == "MIDI: there is no port with 'knobs' in its name, but Launch Control, keys:out; it is looked for again."
    desk.names = []
    assert len(waited_for(desk, ["launch", "knobs"])) == 2 and "none at all" in waited_for(desk, ["knobs"])[0]


def test_a_map_without_a_controller_is_refused(tmp_path, capsys):
    assert run_live.main(["--midi-map", str(tmp_path / "map.toml")]) == 1
    assert "name it with --midi PORT" in capsys.readouterr().err
