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


def test_a_seek_and_a_loop_land_on_the_sample_at_the_output_of_the_card(identity, tmp_path):
    path = tmp_path / "numbers.wav"
    soundfile.write(path, np.repeat(np.arange(1, SECONDS * RATE + 1)[:, None], 2, 1) * SCALE, RATE, subtype="FLOAT")
    seek, loop = 600_000, (700_000, 710_000)
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
    numbers = np.rint(take.sound[:, 0].astype(np.float64) / SCALE).astype(int) - 1
    for landing in (seek, loop[0]):
        assert landing in numbers
        at = int(np.flatnonzero(numbers == landing)[0])
        assert np.array_equal(numbers[at : at + 5000], landing + np.arange(5000))
    # It comes round in exactly its length, but where a machine that was too busy left a hole, or played a period again.
    rounds = np.flatnonzero(numbers == loop[0])
    faded = round(FADE * RATE / 1000) + 1
    whole = [end - start for start, end in pairwise(rounds) if (np.diff(numbers[start : end - faded]) == 1).all()]
    assert len(whole) > 3 and set(whole) == {loop[1] - loop[0]}
