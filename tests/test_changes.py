"""Changes while a session plays: modes, runs, separators, blocks; refusals change nothing; misses step down."""

from __future__ import annotations

import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from realtime.changes import Changes, Notice
from realtime.errors import HostError
from realtime.mix import Mix
from realtime.plan import Plan, Started, Wish
from realtime.separator import Separator
from realtime.session import Session


class Line:
    """Endless noise, and what came of it."""

    def __init__(self) -> None:
        self.sent: list[np.ndarray] = []
        self.heard: list[np.ndarray] = []
        self.rng = np.random.default_rng(0)

    def read(self, count: int) -> np.ndarray:
        self.sent.append((0.1 * self.rng.standard_normal((count, 2))).astype(np.float32))
        return self.sent[-1]

    def write(self, block: np.ndarray) -> None:
        self.heard.append(block.copy())

    def delay(self, last: int = 8192) -> int:
        """Return by how many samples the end of what was heard trails what was sent, where it is most like it."""
        # What is heard first: more may be sent meanwhile, never less.
        heard, sent = (np.concatenate(list(parts))[:, 0] for parts in (self.heard, self.sent))
        sent, part = sent[: len(heard)][-last - 16384 :], heard[-last:]
        likeness = np.correlate(sent, part, "valid")
        assert likeness.max() > 0.9 * np.linalg.norm(part) ** 2
        return len(likeness) - 1 - int(likeness.argmax())


def wait_for(condition, seconds: float = 30.0) -> None:
    due = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < due
        time.sleep(0.01)


def changed(session: Session, wish: Wish) -> Started:
    """Carry out `wish`; a machine that is busy elsewhere may need more than one attempt to catch up with the music."""
    for _ in range(20):
        try:
            return session.change(wish)
        except HostError as problem:
            if "did not catch up" not in str(problem):
                raise
            time.sleep(0.5)
    raise AssertionError("the machine never caught up with the music")


class Changeable:
    """A session of which every change succeeds at once."""

    def __init__(self, session: Session) -> None:
        self.started, self.stream, self.device = session.started, session.stream, session.device
        self.plugins = session.plugins

    def change(self, wish: Wish) -> Started:
        if wish.separator is not None:
            Separator.load(wish.separator)
        self.started = replace(self.started, latency_mode=wish.mode or self.started.latency_mode)
        return self.started


def test_a_change_that_fails_in_a_way_not_foreseen_is_told_and_the_next_is_carried_out():
    asked: list[Wish] = []
    started = SimpleNamespace(choices=(), latency_mode="low", notices=())

    def change(wish: Wish) -> SimpleNamespace:
        asked.append(wish)
        if wish.mode == "broken":
            raise RuntimeError("out of order")
        return started

    changes = Changes(SimpleNamespace(started=started, change=change, plugins=None), automatic=False)
    changes.ask(Wish(mode="broken"))
    assert "out of order" in changes.told.get(timeout=10).text
    changes.ask(Wish(mode="safe"))
    assert changes.told.get(timeout=10) is started and changes._open in (0, 1)


@pytest.fixture
def line():
    return Line()


@pytest.fixture
def session(swap, line):
    session = Session(Plan(swap, Mix((1.0,), wet=0.0), latency="low", device="null", block=256), line)
    session.start()
    yield session
    session.stop()


def test_what_is_asked_for_runs_and_has_the_delay_it_reports(session, line):
    seen = {session.started.latency}
    for wish in (Wish(mode="safe"), Wish(block=64), Wish(mode="extreme"), Wish(run="single"), Wish(block=512, mode="low")):
        started = changed(session, wish)
        assert started == session.started
        for name, value in (("latency_mode", wish.mode), ("run", wish.run), ("block", wish.block)):
            assert value is None or getattr(started, name) == value
        seen.add(started.latency)
        assert session.stream.latency == started.latency
        count = len(line.heard)
        # The fades are over, and the longest delay as well.
        wait_for(lambda count=count, block=started.block: (len(line.heard) - count) * block > 20000)
        assert line.delay() == started.latency.added
    assert len(seen) > 4


def test_another_block_begins_where_a_hop_may_end(session, line):
    # Where it does not, every hop is asked for before its reserve is over, and missed.
    begun: list[int] = []
    read = line.read

    def noted(count: int) -> np.ndarray:
        begun.append(session.stream.bridge.available())
        return read(count)

    session._read = noted
    for block in (96, 512, 128, 480, 256):
        changed(session, Wish(block=block))
        del begun[:]
        wait_for(lambda: len(begun) > 20)
        assert not any(position % block for position in begun[:20])
    # And nothing that was read on the way is left out.
    assert sum(map(len, line.sent)) - sum(map(len, line.heard)) < 512


def test_what_cannot_be_changes_nothing(session, four_stems):
    before = session.started
    for wish, reason in (
        (Wish(separator=four_stems), "has the stems vocals, drums"),
        (Wish(block=5), "32 to 4096"),
        (Wish(mode="medium"), "it offers"),
    ):
        with pytest.raises(HostError, match=reason):
            session.change(wish)
        assert session.started == before and not session.over


def test_wishes_are_carried_out_in_turn_and_told(session, tmp_path):
    changes = Changes(Changeable(session))
    changes.ask(Wish(mode="safe"))
    changes.ask(Wish(separator=tmp_path / "none.onnx"))
    changes.ask(Wish(mode="lower"))
    told = [changes.told.get(timeout=60) for _ in range(3)]
    assert [type(news) for news in told] == [Started, Notice, Started]
    assert [news.latency_mode for news in told if isinstance(news, Started)] == ["safe", "lower"]
    assert "cannot be read" in told[1].text and "safe goes on" in told[1].text


def test_repeated_misses_step_down_and_it_is_said(session):
    session = Changeable(session)
    session.change(Wish(mode="extreme"))
    changes = Changes(session)
    # As if hops took as long as that; what they do take depends on the machine.
    changes.govern({"safe": 0.1, "low": 0.2, "lower": 0.4, "extreme": 0.8})

    def told() -> bool:
        session.stream.misses += 5
        changes.beat()
        return not changes.told.empty()

    wait_for(told)
    started, notice = changes.told.get(), changes.told.get(timeout=10)
    assert started.latency_mode == "lower"
    assert notice.text == "repeated misses within 2 s: stepped down from extreme to lower."


def test_whoever_holds_the_mode_keeps_it(session):
    changes = Changes(session, automatic=False)
    changes.govern({"safe": 0.1, "low": 0.5})
    for _ in range(200):
        session.stream.misses += 5
        changes.beat()
        time.sleep(0.01)
    assert changes.told.empty()
