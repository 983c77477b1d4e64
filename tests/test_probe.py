"""The probe finds the delay of what it hears, whatever is reported, and says so where it hears something else."""

from __future__ import annotations

import numpy as np
import pytest

from realtime.probe import Delay, Delays, Probe

RATE = 44100


def found(path, reported: int, change, seconds: float = 3.0) -> list[Delay]:
    """Return what is found of a probe that hears `change(music so far)`, one after the other."""
    probe = Probe(path, RATE, lambda: reported)
    delays = Delays(path, RATE)
    music, seen = np.zeros((0, 2), np.float32), []
    for _ in range(int(seconds * RATE / 512)):
        music = np.concatenate([music, probe.read(512)])
        probe.write(change(music)[-512:])
        if (delay := delays.next()) is not None:
            seen.append(delay)
    assert len(seen) >= 10
    return seen


def late(music: np.ndarray, by: int) -> np.ndarray:
    return np.concatenate([np.zeros((by, 2), np.float32), music])[: len(music)]


@pytest.mark.parametrize(("delay", "reported"), [(1024, 1024), (1023, 1024), (0, 512), (9000, 512)])
def test_a_delay_is_found_to_the_sample(tmp_path, delay, reported):
    seen = found(tmp_path / "probe", reported, lambda music: late(music, delay))
    assert seen[-1] == Delay(reported, delay)


def test_something_else_has_no_delay(tmp_path):
    noise = np.random.default_rng(0).standard_normal((4 * RATE, 2)).astype(np.float32)
    assert found(tmp_path / "probe", 512, lambda music: 0.1 * noise[: len(music)])[-1] == Delay(512, None)
    assert found(tmp_path / "probe", 512, lambda music: late(music, 512) * 0.5)[-1] == Delay(512, None)


def test_what_was_shown_before_can_be_left_out(tmp_path):
    path = tmp_path / "probe"
    probe = Probe(path, RATE, lambda: 0)
    delays = Delays(path, RATE)

    def show() -> None:
        for _ in range(RATE // 512):
            probe.write(probe.read(512))

    assert delays.next() is None
    show()
    delays.skip()
    assert delays.next() is None
    show()
    assert delays.next() == Delay(0, 0)
    assert delays.next() is None
