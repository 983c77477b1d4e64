"""Gestures as files and as courses of changes: what is written, read, refused, and what happens when."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import ROOT

from realtime.control import controls_for
from realtime.errors import HostError
from realtime.gesture import MOST_POINTS, STEP, Gesture, Point
from realtime.gesturefile import LONGEST, find_gesture, is_name, names_in, read_gesture, write_gesture
from realtime.performance import course
from realtime.state import ControlState, Message

STEMS = ("vocals", "drums", "bass", "other")
RATE = 44100
DOCS = ROOT / "docs" / "control"


class Nobody:
    """A Link that leads nowhere."""

    def submit(self, mix, at):
        pass

    def position(self, wall):
        return None

    def telemetry(self):
        return None

    def change(self, address, value):
        raise AssertionError(address)


@pytest.fixture
def state():
    return ControlState(STEMS, Nobody(), lambda: 0.0)


def read(tmp_path, state, text):
    path = tmp_path / "take.gesture"
    path.write_text(text, encoding="utf-8")
    return read_gesture(path, state)


def changes(gesture, state, speed=1.0):
    return [(t, m.address, m.values) for t, ms in gesture.changes(state, state.values, speed) for m in ms]


# Files.


def test_a_file_is_lines_of_time_address_and_values(tmp_path, state):
    found = read(
        tmp_path, state,
        '# a comment\n0 /preset "no drums"\n1:04.5 /stem/vocals/mute 1 # so\n\n2..3.5 /wet 0.25\nlength 70\n',
    )  # fmt: skip
    assert found.problems == () and found.notices == ()
    assert found.gesture == Gesture(
        (
            Point(0, Message("/preset", ("no drums",))),
            Point(3.5, Message("/wet", (0.25,)), 2),
            Point(64.5, Message("/stem/vocals/mute", (1,))),
        ),
        70,
    )


WRONG = [
    ("x /wet 0", "time", "seconds, such as"), ("-1 /wet 0", "time", "seconds"), ("1:75 /wet 0", "time", "seconds"),
    ("nan /wet 0", "time", "seconds"), ("999999 /wet 0", "time", f"at most {LONGEST:.0f}"),
    ("3..2 /wet 0", "time", "ends after it begins"), ("0..1 /preset all", "time", "cannot go in a line"),
    ("0..1 /stem/bass/mute 1", "time", "cannot go in a line"), ("0.. /wet 1", "time", "seconds"),
    ("1", "address", "missing"), ("1 /wett 0", "address", "there is no /wett"),
    ("1 /stem/piano/gain 0", "address", "the stems are vocals"), ("1 /mode low", "address", "leaves it alone"),
    ("1 /telemetry/load 0", "address", "leaves it alone"), ("1 /gesture/play x", "address", "leaves it alone"),
    ("1 /wet", "values", "from 0 to 1, not nothing"), ("1 /wet 2", "values", "from 0 to 1, not 2"),
    ("1 /wet nan", "values", "from 0 to 1"), ("1 /wet 1e400", "values", "from 0 to 1"), ("1 /wet loud", "values", "not 'loud'"),
    ("1 /wet 0 0", "values", "from 0 to 1"), ("1 /condition 1 1 1", "values", "4 numbers"),
    ("1 /preset karaoke", "values", "one of all, acapella"), ("1 /stem/bass/mute 0.5", "values", "0 or 1"),
    ('1 /preset "all', "values", "quotation mark"), ("length", "length", "one time"), ("length x", "length", "seconds"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "field", "reason"), WRONG, ids=[line for line, _, _ in WRONG])
def test_a_broken_line_is_named_with_its_field_and_the_rest_loads(tmp_path, state, line, field, reason):
    found = read(tmp_path, state, f"0 /wet 0.5\n{line}\n2 /wet 0.25\n")
    [problem] = found.problems
    assert problem.startswith(f"take.gesture, line 2, {field}: ") and reason in problem
    assert problem.endswith("; the line is left out") and "nothing was changed" not in problem
    assert [point.time for point in found.gesture.points] == [0, 2]


def test_many_broken_lines_are_told_in_few_sentences(tmp_path, state):
    found = read(tmp_path, state, "oh\n" * 1000 + "1 /wet 0.5\n")
    assert len(found.problems) == 1000
    assert found.notices[-1] == "And 995 more lines." and len(found.notices) == 6


def test_a_length_that_is_too_short_is_told_and_not_believed(tmp_path, state):
    found = read(tmp_path, state, "2 /wet 0.5\nlength 1\n")
    assert found.gesture.length == 2 and "length: 1 s end before" in found.problems[0]


def test_a_text_that_is_no_gesture_is_refused_and_a_folder_is_called_one(tmp_path, state):
    with pytest.raises(HostError, match="is no gesture: nothing in it is a change of a control .*line 2, time"):
        read(tmp_path, state, "# A page\nthat was meant for something else\n")
    with pytest.raises(HostError, match="is a folder"):
        find_gesture(tmp_path, tmp_path)


def test_what_is_no_text_is_refused_in_a_sentence(tmp_path, state):
    path = tmp_path / "noise.gesture"
    path.write_bytes(np.random.default_rng(0).bytes(4000))
    with pytest.raises(HostError, match="it is not text"):
        read_gesture(path, state)
    with pytest.raises(HostError, match="cannot be read"):
        read_gesture(tmp_path, state)
    path.write_bytes(bytes(17_000_000))
    with pytest.raises(HostError, match="larger than"):
        read_gesture(path, state)


def test_no_line_of_garbage_is_more_than_a_problem(tmp_path, state):
    dice = np.random.default_rng(1)
    words = ["0", "1..2", "..", "/wet", "/preset", "all", "'", '"', "\\", "#", "length", "1e9", "-", "/", "\x00", "٣", "1:", "=" * 500]
    lines = [" ".join(dice.choice(words, dice.integers(1, 6))) for _ in range(2000)]
    found = read(tmp_path, state, "\n".join([*lines, "5 /wet 0.5"]))
    assert found.gesture.points[-1].message == Message("/wet", (0.5,)) and len(found.problems) > 1000


def test_more_changes_than_a_gesture_may_have_are_left_out(tmp_path, state, monkeypatch):
    monkeypatch.setattr("realtime.gesturefile.MOST_POINTS", 10)
    found = read(tmp_path, state, "0 /wet 1\n" * 12)
    assert len(found.gesture.points) == 10 < MOST_POINTS and len(found.problems) == 2


def test_what_is_written_reads_the_same_to_the_bit(tmp_path, state):
    dice = np.random.default_rng(2)
    points = []
    for time in np.sort(dice.uniform(0, 5000, 300)).round(6).tolist():
        value = float(np.float32(dice.choice([0, 1, dice.random(), 10.0 ** -dice.integers(1, 30)])))
        points.append(
            dice.choice(
                [
                    Point(time, Message("/stem/bass/gain", (value,))),
                    Point(time, Message("/condition", (value, 0.0, 1.0, value))),
                    Point(time, Message("/preset", ("no drums",))),
                    Point(time, Message("/stem/other/solo", (1,))),
                    Point(round(time + 1.25, 6), Message("/glide", (value,)), time),
                ]
            )
        )
    gesture = Gesture(tuple(points), 6000.5)
    path = tmp_path / "deep" / "take.gesture"
    write_gesture(gesture, path, state)
    assert read_gesture(path, state) == type(read_gesture(path, state))(gesture, ())


def test_numbers_are_written_as_a_person_would(tmp_path, state):
    point = Point(1.5, Message("/wet", (float(np.float32(0.3)),)))
    write_gesture(Gesture((point,), 2), tmp_path / "a.gesture", state)
    assert (tmp_path / "a.gesture").read_text().splitlines()[1:] == ["1.5          /wet  0.3", "length 2"]


def test_the_file_before_is_kept_beside_the_new_one(tmp_path, state):
    for time in (1.0, 2.0):
        write_gesture(Gesture((Point(time, Message("/wet", (0.5,))),), 3), tmp_path / "a.gesture", state)
    assert read_gesture(tmp_path / "a.gesture~", state).gesture.points[0].time == 1
    assert names_in(tmp_path) == ("a",)


def test_a_gesture_is_found_by_its_path_or_its_name(tmp_path, state):
    write_gesture(Gesture((), 1), tmp_path / "swell up.gesture", state)
    assert find_gesture("swell up", tmp_path) == find_gesture(tmp_path / "swell up.gesture")
    with pytest.raises(HostError, match="no gesture 'x'.*swell up"):
        find_gesture("x", tmp_path)


@pytest.mark.parametrize("name", ["", "..", "../x", "a/b", "a\\b", ".hidden", " a", "a ", "a.", "a\n", "ü", "a" * 65, "a,b", 3, None])
def test_a_name_leads_out_of_no_folder(name):
    assert not is_name(name)


# Courses.


def test_a_line_goes_in_steps_from_where_the_control_stands_and_ends_exactly(tmp_path, state):
    found = changes(read(tmp_path, state, "0 /wet 0.5\n1..2 /wet 1\n").gesture, state)
    times, values = [t for t, _, _ in found], [v for _, _, (v,) in found]
    assert times[0] == 0 and np.diff(times[1:]) == pytest.approx(STEP) and times[-1] == 2
    assert values[1:] == pytest.approx([0.5 + 0.5 * (t - 1) for t in times[1:]]) and values[-1] == 1


def test_a_line_ends_where_the_gesture_sets_its_control_otherwise(tmp_path, state):
    found = changes(read(tmp_path, state, "0..10 /stem/bass/gain 0\n0..10 /wet 0\n1 /preset drums\n").gesture, state)
    assert max(t for t, address, _ in found if address == "/stem/bass/gain") < 1
    assert [v for t, address, v in found if address == "/wet"][-1] == (0,)


def test_a_line_of_a_whole_condition_starts_from_what_a_preset_gave(tmp_path, state):
    found = changes(read(tmp_path, state, "0 /preset drums\n1..2 /condition 1 0 0 0\n").gesture, state)
    middle = next(v for t, _, v in found if t == pytest.approx(1.5))
    assert middle == pytest.approx((0.5, 0.5, 0, 0))


def test_speed_scales_all_times_and_leaves_the_steps(tmp_path, state):
    gesture = read(tmp_path, state, "1 /wet 0.5\n2..4 /wet 1\n").gesture
    found = [t for t, _, _ in changes(gesture, state, 2)]
    assert (found[0], found[-1]) == (0.5, 2) and np.diff(found[1:]) == pytest.approx(STEP)
    assert [t for t, _, _ in changes(gesture, state, 0.5)][-1] == 8


def test_a_course_lands_on_the_samples_that_the_file_says(tmp_path, state):
    gesture = read(tmp_path, state, "0 /preset drums\n0.5 /wet 0.5\n1.234567 /glide 5\n").gesture
    mixes = list(course(STEMS, [gesture], 10, RATE))
    assert [m.position for m in mixes] == [0, 22050, round(1.234567 * RATE)]
    assert (mixes[0].mix.gains, mixes[0].mix.wet, mixes[1].mix.wet, mixes[2].mix.glide) == ((0, 1, 0, 0), 1, 0.5, 0.005)


def test_looped_gestures_come_round_until_the_song_ends(tmp_path, state):
    gesture = read(tmp_path, state, "0 /wet 1\n1 /wet 0\nlength 2\n").gesture
    mixes = list(course(STEMS, [gesture], 5, RATE, loop=True))
    assert [(m.position / RATE, m.mix.wet) for m in mixes] == [(0, 1), (1, 0), (2, 1), (3, 0), (4, 1)]


def test_of_several_gestures_the_last_change_wins(tmp_path, state):
    slow = read(tmp_path, state, "1 /wet 0.1\n3 /wet 0.3\n").gesture
    other = read(tmp_path, state, "1 /wet 0.2\n2 /wet 0.9\n").gesture
    mixes = list(course(STEMS, [slow, other], 10, RATE))
    assert {m.position: m.mix.wet for m in mixes} == pytest.approx({0: 1, RATE: 0.2, 2 * RATE: 0.9, 3 * RATE: 0.3})


def test_a_gesture_too_short_to_come_round_plays_once():
    gesture = Gesture((Point(0, Message("/wet", (0.5,))),), 0.0)
    assert len(list(course(STEMS, [gesture], 1000, RATE, loop=True))) == 1


@pytest.mark.parametrize("path", sorted(DOCS.glob("*.gesture")), ids=lambda path: path.stem)
def test_the_gestures_of_the_documentation_are_without_fault(path, state):
    found = read_gesture(path, state)
    assert found.problems == () and len(found.gesture.points) > 10


def test_the_table_names_every_control_of_gestures_once():
    names = [address for address in controls_for(STEMS) if address.startswith("/gesture/")]
    assert names == [f"/gesture/{name}" for name in ("play", "record", "end", "stop", "loop", "speed", "names", "state")]
