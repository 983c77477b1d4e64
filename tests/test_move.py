"""A run that moves to another device or source while it plays, told by messages alone, and once with processes of its own."""

from __future__ import annotations

import json
import multiprocessing
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from test_comeback import PLAN, STARTED, Process, View, telemetry, until

from realtime import remote
from realtime.changes import Notice
from realtime.control import Refused
from realtime.deck.orders import DeckNews, Order, Setup
from realtime.devicechoice import DeviceChoice
from realtime.devicelist import described, look
from realtime.devices.file import endless
from realtime.enginemessages import PLAYING, Ended, Lost, Shared
from realtime.errors import HostError
from realtime.inserts.insert import Insert
from realtime.inserts.plugins import Plugins
from realtime.library import SHIPPED
from realtime.mix import Mix
from realtime.move import Ask, Go, Move, Moved, Release, Retake, Standing
from realtime.plan import Plan, Started, Wish
from realtime.remote import RemoteEngine
from realtime.state import Message

HEADSET = replace(STARTED, device="headset")
STANDING = replace(PLAN, latency="low", begin=3.0)

# Where to.


def test_another_device_plays_at_its_own_rate_and_another_source_from_its_start():
    plan = replace(PLAN, rate=48000, begin=5.0)
    assert Move(device=("mic", "mic")).plan(plan) == replace(plan, device="mic", rate=None)
    assert Move(device=("mic", "box")).plan(plan).device == ("mic", "box")
    assert Move(source="demo").plan(plan) == replace(plan, source="demo", again=True, begin=0.0)
    assert Move(source="deck").plan(plan).deck == Setup()
    playing = replace(plan, deck=Setup("song.wav"))
    assert Move(source="deck").plan(playing) is playing


def test_the_usual_device_is_asked_for_as_one_that_must_be_there():
    assert Move(device=(None, None)).plan(PLAN).device == (None, None)


@pytest.mark.parametrize(
    ("plan", "move"),
    [
        (replace(PLAN, lockstep=True), Move(source="demo")),
        (replace(PLAN, device="null", record=Path("take.wav")), Move(device=("card", "card"))),
        (replace(PLAN, device="null"), Move(source="input")),
    ],
)
def test_a_run_that_cannot_be_moved_says_why(plan, move):
    with pytest.raises(HostError):
        move.plan(plan)


def test_the_demo_song_comes_round():
    read = endless(np.arange(5, dtype=np.float32)[:, None])
    assert np.concatenate([read(3), read(4), read(6)])[:, 0].tolist() == [i % 5 for i in range(13)]


# What is done to the one run while the other makes itself ready.


def test_a_deck_is_given_what_was_done_to_it_meanwhile():
    before = Setup("a.wav", 3.0, cues=(1.0, 2.0, *[None] * 6))
    assert before.orders_since(before) == (Order("/deck/seek", (3.0,)),)
    after = Setup("a.wav", 5.0, False, (1.0, 2.0), False, (None, 2.5, *[None] * 6), 8.0, 0.8)
    assert [(order.address.removeprefix("/deck/"), order.values) for order in after.orders_since(before)] == [
        ("cue/1/clear", ()), ("cue/2/set", (2.5,)), ("loop", (1.0, 2.0)), ("loop/on", (0,)), ("fade", (8.0,)), ("tempo", (0.8,)),
        ("seek", (5.0,)), ("play", (0,)),
    ]
    other = Setup("b.wav", 0.5, cues=(1.0, *[None] * 7))
    names = [order.address for order in other.orders_since(before)]
    assert names == ["/deck/load", "/deck/cue/1/set", "/deck/seek", "/deck/play"]


def test_plugins_and_what_runs_are_given_what_was_asked_for_meanwhile():
    before = (Insert("master", 1, "a"), Insert("vocals", 1, "b"), Insert("drums", 1, "c"))
    now = (Insert("master", 1, "a", True, ((1, 0.5),)), Insert("vocals", 1, "d"), Insert("bass", 2, "e", values=((3, 1.0),)))
    plugins = Plugins(before)
    plugins.follow(before, now)
    assert set(plugins.wanted) == set(now)
    assert Wish.since(PLAN, PLAN) == Wish()
    assert Wish.since(PLAN, replace(PLAN, latency="safe", run="single")) == Wish(mode="safe", run="single")


# Control.


@pytest.fixture
def lives(monkeypatch):
    """The processes started so far, in order; the first plays at once."""
    made = []

    class Life:
        def __init__(self, plan: Plan, comeback: bool, successor: bool = False) -> None:
            self.pipe, theirs = multiprocessing.Pipe()
            self.process, self.view, self.taps = Process(theirs), View(), None
            self.plan, self.comeback, self.successor, self.theirs = plan, comeback, successor, theirs
            self.over = threading.Event()
            self.process.join = lambda timeout: self.over.wait(timeout) if len(made) == 2 and made[1].successor and not successor else None
            if not made:
                theirs.send(STARTED)
            made.append(self)

        def take(self, shared: object, answer: object = True) -> None:
            self.pipe.send(answer)

        def kill(self) -> None:
            self.process.kill()

        def let_go(self):
            return (), None

    monkeypatch.setattr(remote, "_Life", Life)
    monkeypatch.setattr(remote, "POLL", 0.0)
    return made


def ready(lives: list, answer: object = None) -> None:
    """Play the part of both processes until the second has taken over, or says `answer` instead."""
    first = lives[0].theirs
    assert first.recv() == Ask()
    first.send(Standing(STANDING))
    until(lambda: len(lives) == 2)
    lives[1].theirs.send(Shared(None, None))
    assert first.recv() == Release()
    first.send(Standing(replace(STANDING, begin=4.0)))
    assert lives[1].theirs.recv() == Go(replace(STANDING, begin=4.0))
    lives[1].theirs.send(answer or HEADSET)


def test_the_other_process_takes_over_with_the_mix_of_now_once_the_first_has_let_go(lives):
    told, current = [], [Mix((0.5,))]
    engine = RemoteEngine(PLAN, tell=told.append, mix=lambda: current[0])
    lives[0].view.shown = telemetry(10, 2)
    assert engine.move(Move(device=("headset", "headset")))
    ready(lives)
    until(lambda: engine.started == HEADSET and len(told) == 4)
    plan = replace(STANDING, device="headset", rate=None)
    assert told == [Moved(plan), HEADSET, PLAYING, Notice("headset plays now.")]
    assert lives[1].successor and lives[1].plan == replace(plan, mix=current[0])
    # The first is told to end; it is not taken for the end of the run.
    assert lives[0].theirs.recv() is None
    lives[0].theirs.send(Ended())
    lives[0].over.set()
    lives[1].view.shown = telemetry(3, 1)
    assert engine.telemetry().hops == 13
    until(lambda: lives[0].process.killed)
    assert not engine.wait(0)
    lives[1].theirs.send(Ended())
    assert engine.wait(20)


def test_a_device_that_refuses_before_changes_nothing_and_says_so(lives):
    told = []
    engine = RemoteEngine(PLAN, tell=told.append)
    engine.move(Move(device=("nonsense", "nonsense")))
    lives[0].theirs.recv()
    lives[0].theirs.send(Standing(STANDING))
    until(lambda: len(lives) == 2)
    lives[1].theirs.send(Ended(failure="'nonsense' names no input device; choose one of these:\nlisting"))
    until(lambda: told)
    assert told == [Notice("'nonsense' names no input device; card goes on.")]
    until(lambda: lives[1].process.killed)
    assert not lives[0].theirs.poll(0.05)
    assert engine.started == STARTED


def test_a_device_that_does_not_open_gives_the_old_one_back(lives):
    told = []
    engine = RemoteEngine(PLAN, tell=told.append)
    engine.move(Move(device=("headset", "headset")))
    ready(lives, Ended(failure="headset does not open at 44100 Hz"))
    assert lives[0].theirs.recv() == Retake()
    until(lambda: told)
    assert told == [Notice("headset does not open at 44100 Hz; card goes on.")]
    mix = Mix((0.25,))
    engine.submit(mix, None)
    assert lives[0].theirs.recv() == ((None, mix),)


def test_one_move_at_a_time(lives):
    engine = RemoteEngine(PLAN)
    assert engine.move(Move(source="deck"))
    assert not engine.move(Move(source="demo"))


def test_an_end_in_the_middle_of_a_move_is_prompt(lives):
    engine = RemoteEngine(PLAN)
    engine.move(Move(device=("headset", "headset")))
    lives[0].theirs.recv()
    lives[0].theirs.send(Standing(STANDING))
    until(lambda: len(lives) == 2)
    lives[1].theirs.send(Shared(None, None))
    assert lives[0].theirs.recv() == Release()
    lives[0].over.set()
    assert engine.stop().failure is None
    until(lambda: lives[1].process.killed)


def test_while_a_device_is_waited_for_another_is_waited_for_instead(lives):
    told = []
    engine = RemoteEngine(PLAN, tell=told.append)
    lives[0].theirs.send(Lost("card has stopped", PLAN))
    until(lambda: len(lives) == 2)
    engine.move(Move(device=("headset", "headset")))
    until(lambda: len(lives) == 3)
    assert lives[2].comeback and lives[2].plan.device == "headset"
    assert Moved(replace(PLAN, device="headset")) in told
    engine.stop()


# What there is.


def test_devices_are_described_with_the_usual_ones_first():
    apis = [{"name": "API"}]
    device = {"hostapi": 0, "default_samplerate": 48000.0, "default_low_input_latency": 0.0058, "default_low_output_latency": 1e9}
    named = (("mic", 1, 0), ("box", 0, 2), ("PortAudio-01", 2, 2))
    devices = [device | {"name": name, "max_input_channels": i, "max_output_channels": o} for name, i, o in named]
    # The third is this host itself, as a JACK server shows it.
    first, second = described(devices, apis, (-1, 1))
    assert (first["name"], first["out"], first["usual"]) == ("box, API", 2, ["out"])
    assert second == {"name": "mic, API", "in": 1, "out": 0, "rate": 48000, "in_ms": 5.8, "out_ms": 0.0, "usual": []}


def test_a_look_that_fails_is_a_sentence():
    assert json.loads(look((sys.executable, "-c", "print('[]')"))) == []
    with pytest.raises(HostError, match="no library"):
        look((sys.executable, "-c", "import sys; sys.exit('no library')"))
    with pytest.raises(HostError, match="cannot be read"):
        look((sys.executable, "-c", "print('{')"))


# Over OSC.


def test_the_addresses_ask_for_moves_and_refuse_what_is_none():
    asked, told = [], []
    choice = DeviceChoice(lambda move: asked.append(move) or True, lambda *each: told.append(each), lambda: "[]")
    choice.change("/source", "demo")
    choice.change("/device/select", ("card", None))
    choice.change("/device/select", ("mic", "box"))
    choice.change("/device/select", (None, None))
    assert asked == [
        Move(source="demo"), Move(device=("card", "card")), Move(device=("mic", "box")), Move(device=(None, None)),
    ]
    with pytest.raises(Refused, match="one of input, demo, deck"):
        choice.check(Message("/source", ("/etc/passwd",)), ())
    choice.change("/device/look", None)
    until(lambda: told)
    assert told == [("/device/list", "[]")]
    with pytest.raises(Refused, match="at a time"):
        choice.check(Message("/device/select", ("card", None)), (Message("/source", ("demo",)),))
    with pytest.raises(Refused, match="is being opened"):
        DeviceChoice(lambda move: True, print, free=lambda: False).check(Message("/source", ("demo",)), ())
    with pytest.raises(Refused, match="is being opened"):
        DeviceChoice(lambda move: False, print).change("/source", "demo")


# With processes.


def wait_long(condition) -> None:
    wait = threading.Event()
    for _ in range(600):
        if condition():
            return
        wait.wait(0.1)
    raise AssertionError("it did not come to that")


def _moved(told: list) -> int:
    return next(at for at, news in enumerate(told) if isinstance(news, Moved))


def test_a_run_moves_and_stays_where_a_device_is_not(tmp_path):
    told, song = [], tmp_path / "song.wav"
    soundfile.write(song, np.zeros((88200, 2)), 44100)
    plan = Plan(SHIPPED / "identity.onnx", Mix((1.0,)), device="null", deck=Setup(), realtime=False, automatic=False)
    engine = RemoteEngine(plan, tell=told.append, mix=lambda: plan.mix)
    try:
        assert engine.move(Move(device=("null", "null")))
        # Meanwhile, or at once: it is on the deck afterwards.
        engine.change(Order("/deck/load", (str(song),)))
        wait_long(lambda: any(isinstance(news, Started) for news in told))
        # Others may be told of as well, by a machine that is too busy.
        assert [type(news) for news in told if isinstance(news, Moved | Started)] == [Moved, Started]
        wait_long(lambda: any(isinstance(news, DeckNews) and news.path == str(song) for news in told[_moved(told) :]))
        wait_long(lambda: (shown := engine.telemetry()) is not None and shown.hops > 0)
        wait_long(lambda: engine.move(Move(device=("no such device", "no such device"))))
        wait_long(lambda: any(isinstance(news, Notice) and news.text.endswith("; null goes on.") for news in told))
        before = engine.telemetry().hops
        wait_long(lambda: engine.telemetry().hops > before)
    finally:
        assert engine.stop().failure is None
