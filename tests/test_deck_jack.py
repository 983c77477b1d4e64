"""The deck on a sound card: a JACK server without hardware, told over OSC as a controller would."""

from __future__ import annotations

import time
from itertools import pairwise

import numpy as np
import pytest
import soundfile

from realtime.deck.orders import FADE
from tests.hearing import RATE
from tests.jack_peers import PERIOD, jack_host, play_through
from tests.jack_server import jack_missing, jack_server

pytestmark = pytest.mark.skipif(jack_missing() is not None, reason=str(jack_missing()))

# Sample k of the file has the value (k + 1) * SCALE, exactly.
SCALE = 2.0**-22
SECONDS = 20


# A server on a machine that is too busy leaves holes, or plays a period again; of the deck that says nothing.
TAKES = 3


def disturbed(numbers: np.ndarray, seek: int, begin: int) -> bool:
    """Return whether there are holes or periods played again in `numbers`, from the first `seek` to the last `begin` of a round."""
    if seek not in numbers or begin not in numbers:
        return False
    played = numbers[np.flatnonzero(numbers == seek)[0] : np.flatnonzero(numbers == begin)[-1]]
    back = 1 - np.diff(played)
    return bool((played < 0).any() or ((back > 0) & (back % PERIOD == 0)).any())


def test_a_seek_and_a_loop_land_on_the_sample_at_the_output_of_the_card(identity, tmp_path):
    path = tmp_path / "numbers.wav"
    soundfile.write(path, np.repeat(np.arange(1, SECONDS * RATE + 1)[:, None], 2, 1) * SCALE, RATE, subtype="FLOAT")
    seek, loop = 600_000, (700_000, 710_000)
    for _ in range(TAKES):
        numbers = performed(identity, path, tmp_path, seek, loop)
        if not disturbed(numbers, seek, loop[0]):
            break
    for landing in (seek, loop[0]):
        assert landing in numbers
        at = int(np.flatnonzero(numbers == landing)[0])
        assert np.array_equal(numbers[at : at + 5000], landing + np.arange(5000))
    # It comes round in exactly its length, but where a machine that was too busy left a hole.
    rounds = np.flatnonzero(numbers == loop[0])
    whole = [end - start for start, end in pairwise(rounds) if (numbers[start:end] >= 0).all()]
    assert len(whole) > 3 and set(whole) == {loop[1] - loop[0]}
    length = loop[1] - loop[0] - round(FADE / 1000 * RATE) - 1
    assert all(np.array_equal(numbers[at : at + length], loop[0] + np.arange(length)) for at in rounds[:-1])


def performed(identity, path, tmp_path, seek: int, loop: tuple[int, int]) -> np.ndarray:
    """Return the numbers of the samples that the card plays, where the deck goes to `seek` and then round `loop`."""
    with jack_server(RATE, PERIOD) as server, jack_host(identity, server, "--deck", str(path), "--no-realtime") as running:
        running.tell("/bypass", "i", 1)

        def perform() -> dict:
            time.sleep(1.5)
            running.tell("/deck/seek/samples", "i", seek)
            time.sleep(0.5)
            running.tell("/deck/loop/samples", "ii", *loop)
            running.tell("/deck/seek/samples", "i", loop[0])
            return {}

        take = play_through(running, np.zeros((3 * RATE, 2), np.float32), tmp_path, during=perform)
        assert running.ask("/deck/state") == ("playing",) and running.ask("/source") == ("deck",)
        assert running.stop() == 0, running.stderr
    return np.rint(take.sound[:, 0].astype(np.float64) / SCALE).astype(int) - 1
