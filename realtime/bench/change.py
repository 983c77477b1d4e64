"""A change of the condition, and how large a click it makes.

A tone of 220 Hz plays steadily through the engine while the mix goes from preset to preset. With the second difference
d[n] = y[n+1] - 2 y[n] + y[n-1] of the output y, which a click raises and a tone hardly does, the size of the click is

    20 log10( max |d| around the change / max |d| on the steady tone before or after, whichever is larger )  dB,

0 dB where nothing but the tone is to be heard. "Around" begins with the hop that takes the change and lasts the glide, the
look-ahead, the frame and a tenth of a second. Against division by the silence of a tone that no stem holds, the
denominator is at least what the tone itself has at -60 dB.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from realtime.engine import Engine, Run
from realtime.latency import Mode
from realtime.mix import Mix
from realtime.presets import presets_for
from realtime.separator import Separator

FREQUENCY, AMPLITUDE = 220.0, 0.25
FLOOR_DB = -60.0
# Seconds that a mix is held before and after what is looked at, and the seconds of steady tone that are.
SETTLE, STEADY = 0.5, 0.2
_PRESETS = 3


@dataclass(frozen=True)
class Click:
    """The largest click of several changes: `db` above the steady tone, and the `change` that made it."""

    db: float
    change: str


def click_db(difference: np.ndarray, change: slice, steady: list[slice], floor: float) -> float:
    """Return the size of the click in `change`, in dB, see above; `difference` is |d|, [samples]."""
    beside = max(floor, *(float(difference[part].max()) for part in steady))
    return 20 * math.log10(max(float(difference[change].max()), 1e-12) / beside)


def measure_click(separator: Separator, mode: Mode, run: Run, glide: float = 0.03, rate: float | None = None) -> Click:
    """Return the largest click among changes from preset to preset, which take `glide` seconds each."""
    meta = separator.metadata
    presets = list(presets_for(meta.stems).items())[:_PRESETS]
    tour = [*presets, presets[0]]
    mixes = [Mix(gains, glide=glide) for _, gains in tour]
    engine = Engine(separator, mode, meta.channels, run, mixes[0], rate)
    step, rate = engine.step, engine.rate
    around = round((glide + 0.1) * rate) + engine.lookahead + meta.n_fft
    quiet = round(STEADY * rate)
    hold = -(-(around + quiet + round(SETTLE * rate)) // step)
    hops = hold * len(tour)
    phase = 2 * np.pi * FREQUENCY / rate
    tone = (
        (AMPLITUDE * np.sin(phase * np.arange(hops * step))).astype(np.float32)[:, None].repeat(meta.channels, axis=1)
    )
    heard = np.empty((hops * step, meta.channels))
    for hop in range(hops):
        if hop and hop % hold == 0:
            engine.schedule.submit(mixes[hop // hold], None)
        rows = slice(hop * step, (hop + 1) * step)
        engine.process(tone[rows])
        heard[rows] = engine.master
    difference = np.pad(np.abs(np.diff(heard, 2, axis=0)).max(axis=1), 1)
    # Of A sin(w n), the second difference is at most 4 A sin(w / 2)^2.
    floor = 4 * AMPLITUDE * math.sin(phase / 2) ** 2 * 10 ** (FLOOR_DB / 20)
    clicks = []
    for number in range(1, len(tour)):
        at, end = number * hold * step, min((number + 1) * hold * step, len(difference) - 1)
        steady = [slice(at - quiet, at - 1), slice(end - quiet, end - 1)]
        # The hop before is the one whose last difference reaches over the edge.
        size = click_db(difference, slice(at - 1, at + around), steady, floor)
        clicks.append(Click(size, f"{tour[number - 1][0]} to {tour[number][0]}"))
    return max(clicks, key=lambda click: click.db)
