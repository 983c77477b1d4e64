"""A device that goes and comes back, told by its messages and looks alone: no device, no process, no clock."""

from __future__ import annotations

import multiprocessing
import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest
import soundfile
from playing import noise

from realtime import comeback, engineprocess, remote
from realtime import session as session_module
from realtime.changes import Changes, Notice
from realtime.comeback import POLL, await_device, find_device
from realtime.deck.orders import Order, Setup
from realtime.devices.pulse import LOOKS, WINDOW, Pulse
from realtime.enginemessages import PLAYING, DeviceState, Ended, Found, Lost, Shared, Waiting
from realtime.errors import DeviceError, HostError
from realtime.grants import Grants
from realtime.inserts.plugins import Plugins
from realtime.latency import Latency
from realtime.mix import Mix
from realtime.plan import Plan, Started, Wish
from realtime.remote import RemoteEngine
from realtime.separator import Separator
from realtime.session import Session
from realtime.telemetry import Telemetry

RATE, BLOCK = 44100, 512
PLAN = Plan(Path("none.onnx"), Mix((1.0,)), device="card", realtime=False)
LATENCY = Latency(512, 0, 512)
STARTED = Started("none", ("all",), "low", "single", "card", RATE, BLOCK, LATENCY, (0, 0), 512, (1, 2))


def telemetry(hops: int, misses: int = 0) -> Telemetry:
    work = (1.0, 1.0, 1.0, 1.0)
    meters = {"input": (0.5, 0.4)}
    return Telemetry(hops, misses, 0, hops * 512, LATENCY, RATE, 512, BLOCK, work, 11.6, 0.1, meters, clock=(0, 5.0))


# Looking for it.


def test_the_device_is_looked_for_once_a_second_and_only_another_reason_is_said():
    reasons = iter(["'card' names no device", "'card' names no device", "card refuses 44100 Hz.\nlisting", None])
    said, paused, looks = [], [], []

    def find(plan: Plan) -> Plan:
        if reason := next(reasons):
            raise DeviceError(reason)
        return plan

    assert await_device(PLAN, said.append, find, lambda: looks.append(1), paused.append) is PLAN
    assert said == ["card refuses 44100 Hz."]
    assert paused == [POLL] * 3
    assert len(looks) == 3


def test_what_is_not_the_devices_fault_is_not_waited_for():
    def find(plan: Plan) -> Plan:
        raise HostError("the PortAudio library is missing")

    with pytest.raises(HostError, match="missing"):
        await_device(PLAN, print, find, print, print)


def test_a_device_that_is_back_at_another_rate_is_taken_at_its_own(monkeypatch):
    def device(name, rate, block, channels) -> None:
        if rate not in (None, 48000):
            raise DeviceError(f"card refuses {rate} Hz")

    monkeypatch.setattr(comeback, "PortAudioDevice", device)
    assert find_device(replace(PLAN, rate=48000)).rate == 48000
    assert find_device(replace(PLAN, rate=44100)).rate is None


# Changes underneath.


def watch(pulse: Pulse, step: int, looks: int, rate: int = RATE, xruns: int = 0, position: int = 0) -> int:
    """Look at a stream whose device takes `step` samples at once, at uneven times; return how far it has come."""
    random = np.random.default_rng(2)
    now = position / rate
    for _ in range(looks):
        now += random.uniform(0.015, 0.05)
        position = int(now * rate) // step * step
        pulse.look(position, xruns, now)
    return position


@pytest.mark.parametrize("step", [64, 512, 2048, 4096])
def test_a_device_that_keeps_to_its_block_and_rate_is_left_alone(step):
    pulse = Pulse(RATE, step)
    watch(pulse, step, 2000)
    assert (pulse.rate, pulse.block) == (RATE, step)


def test_a_device_that_takes_several_blocks_at_once_is_noticed():
    pulse = Pulse(RATE, BLOCK)
    position = watch(pulse, BLOCK, LOOKS)
    watch(pulse, 4 * BLOCK, 4 * LOOKS, position=position)
    assert (pulse.rate, pulse.block) == (RATE, 4 * BLOCK)


def test_another_rate_is_noticed_unless_blocks_were_lost():
    looks = round(5 * WINDOW / 0.03)
    pulse = Pulse(RATE, BLOCK)
    watch(pulse, BLOCK, looks, rate=48000)
    assert pulse.rate == 48000
    losing = Pulse(48000, BLOCK)
    for number in range(looks):
        losing.look(int(0.03 * number * RATE) // BLOCK * BLOCK, number, 0.03 * number)
    assert losing.rate == 48000
    odd = Pulse(RATE, None)
    watch(odd, 1, looks, rate=46000)
    assert odd.rate == RATE


# The engine's process.


class FakeSession:
    """A run whose device is gone at once."""

    priority, priority_refused = 20, None
    started, over, lost, failure = STARTED, True, "card has stopped", "card has stopped, and start again."
    device = SimpleNamespace(name="card", changed=None)
    made: ClassVar[list[Plan]] = []
    taps, recording = SimpleNamespace(layout=SimpleNamespace(size=0)), None

    def __init__(self, plan: Plan) -> None:
        self.plugins = Plugins()
        self.plan, self.stream = plan, self
        FakeSession.made.append(plan)

    def use(self, taps: object) -> None:
        pass

    def start(self, say) -> None:
        pass

    def note(self, grants: Grants) -> None:
        self.started = replace(self.started, grants=grants)

    def resumption(self) -> Plan:
        return replace(self.plan, device=("card, API", "card, API"))

    def stop(self) -> None:
        pass


@pytest.fixture
def session(monkeypatch) -> type[FakeSession]:
    monkeypatch.setattr(engineprocess, "Session", FakeSession)
    monkeypatch.setattr(engineprocess, "leave_ends_to_parent", lambda: None)
    monkeypatch.setattr(engineprocess.sys, "setswitchinterval", lambda _: None)
    monkeypatch.setattr(engineprocess, "Segment", SimpleNamespace(create=lambda name, size: SimpleNamespace(buf=None)))
    monkeypatch.setattr(engineprocess, "Taps", lambda layout, memory: None)
    monkeypatch.setattr(engineprocess, "lock_memory", lambda: "memory locking was refused (limit)")
    monkeypatch.setattr(FakeSession, "made", [])
    return FakeSession


class Control:
    """The other end of the pipe: says what a test says, then nothing more, and stays."""

    def __init__(self, *heard: object) -> None:
        self.sent, self.heard = [], list(heard)

    def send(self, message: object) -> None:
        if isinstance(message, Shared):
            self.heard.insert(0, True)
        else:
            self.sent.append(message)

    def recv(self) -> object:
        if not self.heard:
            threading.Event().wait()
        return self.heard.pop(0)


def test_the_engine_tells_of_a_device_that_has_gone_and_how_to_go_on(session):
    pipe = Control()
    engineprocess.serve(PLAN, pipe, "")
    plan = replace(PLAN, device=("card, API",) * 2, latency="low")
    assert pipe.sent == [STARTED, Lost("card has stopped", plan)]


def test_what_the_system_granted_is_told_with_the_start_unless_nothing_was_asked_for(session):
    pipe = Control()
    engineprocess.serve(replace(PLAN, realtime=True), pipe, "")
    assert pipe.sent[0].grants == Grants(20, None, "memory locking was refused (limit)")
    engineprocess.serve(replace(PLAN, realtime=True, lockstep=True), pipe, "")
    assert pipe.sent[2].grants.priority is None
    engineprocess.serve(PLAN, pipe, "")
    assert pipe.sent[4].grants is None


def test_what_fails_otherwise_ends_the_run(session, monkeypatch):
    monkeypatch.setattr(session, "lost", None)
    pipe = Control()
    engineprocess.serve(PLAN, pipe, "")
    assert pipe.sent == [STARTED, Ended(failure=session.failure)]


def test_a_device_that_takes_several_blocks_at_once_is_given_them_where_it_plays():
    class Asked(Changes):
        def ask(self, wish: Wish, why: str | None = None) -> None:
            asked.append((wish, why))

    asked, session = [], FakeSession(PLAN)
    session.device = SimpleNamespace(name="card", changed=None)
    changes = Asked(session, automatic=False)
    changes.beat()
    assert not asked
    session.device.changed = 2048
    changes.beat()
    changes.beat()
    assert asked == [(Wish(block=2048), "card has come to take 2048 samples at once")]


def test_an_engine_that_comes_back_plays_the_mix_as_it_is_then(session, monkeypatch):
    monkeypatch.setattr(engineprocess, "await_device", lambda plan, say, pause: (say("no card"), replace(plan, rate=None))[1])
    mix = Mix((0.25,))
    pipe = Control(((None, Mix((0.5,))),), mix)
    engineprocess.serve(replace(PLAN, rate=RATE), pipe, "", comeback=True)
    assert pipe.sent[:3] == [Waiting("no card"), Found(), STARTED]
    assert session.made == [replace(PLAN, mix=mix)]


def test_a_device_that_does_not_open_is_an_error_at_first_and_waited_for_later(session, monkeypatch):
    def start(self, say) -> None:
        raise DeviceError("card does not open.\nlisting")

    monkeypatch.setattr(session, "start", start)
    monkeypatch.setattr(engineprocess, "await_device", lambda plan, say, pause: plan)
    first, later = Control(), Control(Mix((1.0,)))
    engineprocess.serve(PLAN, first, "")
    engineprocess.serve(PLAN, later, "", comeback=True)
    assert first.sent == [Ended(failure="card does not open.\nlisting")]
    assert later.sent == [Found(), Lost("card does not open", PLAN)]


# Control.


class Process:
    """What an engine's process would say, said by a test; killed, it closes its pipe."""

    pid = 1

    def __init__(self, theirs) -> None:
        self.theirs, self.killed = theirs, False

    def join(self, timeout: float) -> None:
        pass

    def is_alive(self) -> bool:
        return False

    def kill(self) -> None:
        self.killed = True
        self.theirs.close()


class View:
    """Shows what a test has put there."""

    shown: Telemetry | None = None

    def telemetry(self) -> Telemetry | None:
        return self.shown

    def position(self, wall: float) -> int | None:
        return None if self.shown is None else self.shown.position_at(wall)


@pytest.fixture
def processes(monkeypatch) -> list[tuple[Process, Plan, bool, View]]:
    """The processes started so far, each with its plan, whether it waits, and its view; the first plays at once."""
    made = []

    class Life:
        def __init__(self, plan: Plan, comeback: bool) -> None:
            self.pipe, theirs = multiprocessing.Pipe()
            self.process, self.view = Process(theirs), View()
            if not made:
                theirs.send(STARTED)
            made.append((self.process, plan, comeback, self.view))

        def kill(self) -> None:
            self.process.kill()

        def let_go(self):
            return (), None

    monkeypatch.setattr(remote, "_Life", Life)
    monkeypatch.setattr(remote, "POLL", 0.0)
    return made


def until(condition) -> None:
    wait = threading.Event()
    for _ in range(2000):
        if condition():
            return
        wait.wait(0.01)
    raise AssertionError("it did not come to that")


def lose(engine: RemoteEngine, processes: list, reason: str = "card has stopped") -> Process:
    """Let the device go; return the process that waits for it."""
    count = len(processes)
    processes[-1][0].theirs.send(Lost(reason, replace(PLAN, rate=48000)))
    until(lambda: len(processes) > count)
    return processes[-1][0]


def test_controls_counts_and_plan_are_kept_while_a_device_is_waited_for(processes):
    current = [Mix((0.5,))]
    told = []
    engine = RemoteEngine(PLAN, tell=told.append, mix=lambda: current[0])
    processes[0][3].shown = telemetry(10, 2)
    assert engine.position(6.0) == RATE
    waits = lose(engine, processes)
    assert processes[1][1:3] == (replace(PLAN, rate=48000), True)
    assert told == [
        DeviceState("waiting: card has stopped"),
        Notice("card has stopped; the sound goes on by itself when the device is back."),
    ]
    assert engine.device_state == told[0]
    # Nothing is heard meanwhile, and nothing is due at a position of a stream that is no more.
    assert engine.telemetry().meters == {"input": (0.0, 0.0)}
    assert engine.position(6.0) is None
    current[0] = Mix((0.75,))
    engine.submit(current[0], None)
    waits.theirs.send(Found())
    assert waits.theirs.recv() == current[0]
    current[0] = Mix((1.0,))
    engine.submit(current[0], None)
    engine.change(Wish(mode="safe"))
    started = replace(STARTED, rate=48000)
    waits.theirs.send(started)
    # What was asked for meanwhile is what it hears first.
    assert {waits.theirs.recv(), waits.theirs.recv()} == {((None, current[0]),), Wish(mode="safe")}
    processes[1][3].shown = telemetry(3, 1)
    assert engine.telemetry().hops == 13
    assert engine.telemetry().misses == 3
    assert engine.device_state == PLAYING
    assert told[2:] == [started, PLAYING, Notice("card plays again, at 48000 Hz instead of 44100.")]
    assert engine.started == started
    processes[1][3].shown = telemetry(4, 1)
    waits.theirs.send(Ended())
    assert engine.wait(20)
    assert engine.stop().telemetry.hops == 14


def test_an_end_while_waiting_is_prompt_and_no_failure(processes):
    engine = RemoteEngine(PLAN)
    waits = lose(engine, processes)
    ended = engine.stop()
    assert waits.killed
    assert ended.failure is None


def test_a_process_that_dies_while_it_waits_is_replaced_without_a_word(processes):
    told = []
    engine = RemoteEngine(PLAN, tell=told.append)
    lose(engine, processes).theirs.close()
    until(lambda: len(processes) == 3)
    assert processes[2][2]
    assert len(told) == 2
    assert not engine.wait(0)
    engine.stop()


def test_a_process_that_dies_while_it_plays_is_the_end(processes):
    engine = RemoteEngine(PLAN)
    processes[0][0].theirs.close()
    assert engine.wait(20)
    assert "ended unexpectedly" in engine.stop().failure


def test_a_new_reason_to_wait_is_told(processes):
    told = []
    engine = RemoteEngine(PLAN, tell=told.append)
    lose(engine, processes).theirs.send(Waiting("card refuses 48000 Hz"))
    until(lambda: len(told) == 4)
    assert told[2] == engine.device_state == DeviceState("waiting: card refuses 48000 Hz")
    engine.stop()


def test_a_process_that_takes_nothing_keeps_nobody_waiting_and_memory_bounded(processes, monkeypatch):
    monkeypatch.setattr(remote, "_LONGEST_END", 0.2)
    engine = RemoteEngine(PLAN)
    for number in range(4 * remote.MOST_HELD):
        engine.change(Order("/deck/seek", (float(number),)))
    assert len(engine._held) <= remote.MOST_HELD
    assert engine.stop().failure is not None
    assert processes[0][0].killed


def test_orders_reach_the_process_in_their_turn_and_the_end_comes_after_them(processes):
    engine = RemoteEngine(PLAN)
    orders = [Order("/deck/seek", (float(number),)) for number in range(50)]
    for order in orders:
        engine.change(order)
    ending = threading.Thread(target=engine.stop)
    ending.start()
    theirs = processes[0][0].theirs
    assert [theirs.recv() for _ in range(51)] == [*orders, None]
    theirs.send(Ended())
    ending.join()


def test_news_that_nobody_can_show_does_not_keep_a_device_from_coming_back(processes):
    def tell(news):
        raise ValueError(news)

    engine = RemoteEngine(PLAN, tell=tell)
    waits = lose(engine, processes)
    waits.theirs.send(STARTED)
    waits.theirs.send(Ended())
    assert engine.wait(20)
    assert engine.device_state == PLAYING


# The run that goes on.


def test_a_file_goes_on_where_it_was_and_the_work_is_not_measured_again(identity, tmp_path, monkeypatch):
    audio = noise(20000)
    soundfile.write(tmp_path / "song.wav", audio, RATE, subtype="FLOAT")
    modes, run = Separator.load(identity).metadata.modes, "single"
    works = tuple(((identity, mode, run), (0.0005, 0.0015)) for mode in modes)
    plan = Plan(identity, Mix((1.0,)), run=run, device="null", source=str(tmp_path / "song.wav"), begin=0.2, works=works)
    monkeypatch.setattr(session_module, "measure_work", lambda *_: pytest.fail("measured again"))
    session = Session(plan)
    assert session.started.work_ms == (0.5, 1.5)
    assert session.stream.engine.ends_at == 20000 - 8820
    assert np.array_equal(session._read(100), audio[8820:8920])


def test_a_deck_whose_file_went_with_the_device_comes_back_empty(identity, tmp_path):
    plan = Plan(identity, Mix((1.0,)), device="null", deck=Setup(str(tmp_path / "gone.wav"), tempo=1.0), realtime=False)
    with pytest.raises(HostError, match="gone.wav|no file"):
        engineprocess._session(plan, comeback=False)
    session = engineprocess._session(plan, comeback=True)
    session.deck.close()
    assert session.deck.news().state == "empty" and session.deck.said.get(timeout=10).endswith(". The deck is empty now.")
