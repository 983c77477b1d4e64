"""What the operating system is asked for, and how it is said what came of it."""

from __future__ import annotations

import ctypes
import os
import sys
from types import SimpleNamespace

import pytest
import soundfile
from playing import noise

from realtime import memory, priority
from realtime.grants import Grants, try_grants
from realtime.latency import MODE_NAMES
from realtime.memory import CURRENT, FUTURE, ON_FAULT, lock_memory
from realtime.mix import Mix
from realtime.plan import Plan
from realtime.priority import raise_priority
from realtime.session import Session


@pytest.fixture
def asked(monkeypatch) -> list[int]:
    """The flags of every lock that was asked for; none is carried out."""
    flags = []
    library = SimpleNamespace(mlockall=lambda wanted: flags.append(wanted) or 0)
    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: library)
    monkeypatch.setattr(sys, "platform", "linux")
    return flags


def test_what_is_granted_and_what_is_refused_stands_in_one_line():
    assert Grants().text == "real-time priority 20, memory locked"
    assert Grants(None).text == "memory locked"
    refused = Grants(20, "real-time priority was refused (not permitted)", "memory locking was refused (no room)")
    assert refused.text == "real-time priority was refused (not permitted), memory locking was refused (no room)"


def test_memory_to_come_is_locked_only_where_no_limit_would_refuse_it(asked, monkeypatch):
    monkeypatch.setattr(memory, "_limit", lambda: None)
    assert lock_memory() is None
    monkeypatch.setattr(memory, "_limit", lambda: 1 << 23)
    assert lock_memory() is None
    assert asked == [CURRENT | ON_FAULT | FUTURE, CURRENT | ON_FAULT]


def test_a_refused_lock_names_the_limit(asked, monkeypatch):
    monkeypatch.setattr(memory, "_limit", lambda: 8 << 20)
    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: SimpleNamespace(mlockall=lambda flags: -1))
    assert "memory locking was refused" in lock_memory()
    assert "8 MB" in lock_memory()


def test_a_system_without_locking_says_so(monkeypatch):
    def none(*_, **__):
        raise TypeError("LoadLibrary() argument 1 must be str, not None")

    monkeypatch.setattr(ctypes, "CDLL", none)
    assert lock_memory() == "memory locking was refused (this system has none for a process)"
    memory.unlock_memory()


def test_a_refused_priority_says_why(monkeypatch):
    def refuse(*_) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "sched_setscheduler", refuse, raising=False)
    monkeypatch.setattr(os, "SCHED_FIFO", 1, raising=False)
    monkeypatch.setattr(os, "sched_param", int, raising=False)
    assert raise_priority() == "real-time priority was refused (Operation not permitted)"
    monkeypatch.delattr(os, "sched_setscheduler")
    assert "no real-time priority" in raise_priority()
    assert raise_priority(None) is None


def test_a_trial_leaves_the_thread_as_it_was(asked):
    grants = try_grants()
    assert "memory locked" in grants.text
    if hasattr(os, "sched_getscheduler"):
        assert os.sched_getscheduler(0) == os.SCHED_OTHER


def test_a_run_that_is_to_ask_for_nothing_asks_for_nothing(swap, monkeypatch, tmp_path):
    levels, song = [], tmp_path / "song.wav"
    soundfile.write(song, noise(4000), 44100)
    for module in ("stream", "measurement", "devices.null"):
        monkeypatch.setattr(f"realtime.{module}.raise_priority", lambda level=priority.PRIORITY: levels.append(level))
    works = tuple(((swap, mode, "stems"), (0.0001, 0.0002)) for mode in MODE_NAMES)
    plan = Plan(swap, Mix((1.0,)), run="stems", device="null", source=str(song), works=works, realtime=False)
    session = Session(plan)
    session.start()
    session.stop()
    assert levels == [None, None]
