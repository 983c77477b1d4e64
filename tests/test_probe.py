"""The probe finds the delay of what it hears, whatever is reported, and says so where it hears something else."""

from __future__ import annotations

import numpy as np
import pytest

from realtime.probe import CHECKS, MEASURED, REPORTED, WORDS, Probe

RATE = 44100


def heard(probe: Probe, path, change, seconds: float = 3.0) -> np.ndarray:
    """Return what the probe found at the end, where `change(music so far)` comes out."""
    music = np.zeros((0, 2), np.float32)
    for _ in range(int(seconds * RATE / 512)):
        music = np.concatenate([music, probe.read(512)])
        probe.write(change(music)[-512:])
    return np.memmap(path, np.int64, "r", shape=(WORDS,))


def late(music: np.ndarray, by: int) -> np.ndarray:
    return np.concatenate([np.zeros((by, 2), np.float32), music])[: len(music)]


@pytest.mark.parametrize(("delay", "reported"), [(1024, 1024), (1023, 1024), (0, 512), (9000, 512)])
def test_a_delay_is_found_to_the_sample(tmp_path, delay, reported):
    probe = Probe(tmp_path / "probe", RATE, lambda: reported)
    found = heard(probe, tmp_path / "probe", lambda music: late(music, delay))
    assert (found[REPORTED], found[MEASURED]) == (reported, delay)
    assert found[CHECKS] >= 10


def test_something_else_has_no_delay(tmp_path):
    probe = Probe(tmp_path / "probe", RATE, lambda: 512)
    noise = np.random.default_rng(0).standard_normal((4 * RATE, 2)).astype(np.float32)
    assert heard(probe, tmp_path / "probe", lambda music: 0.1 * noise[: len(music)])[MEASURED] == -1
    probe = Probe(tmp_path / "probe", RATE, lambda: 512)
    assert heard(probe, tmp_path / "probe", lambda music: late(music, 512) * 0.5)[MEASURED] == -1
