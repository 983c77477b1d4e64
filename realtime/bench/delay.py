"""Delay, measured: a click through the real path, to be compared with the delay that is reported."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from realtime.chain import chain_for
from realtime.devices.file import reader
from realtime.engine import Engine
from realtime.latency import Latency, Mode
from realtime.library import find_separator
from realtime.mix import Mix
from realtime.separator import Separator
from realtime.stream import Stream
from realtime.windows import analysis_window, synthesis_window


def identity_engine(mode: Mode, rate: float) -> Engine:
    """Return an engine of two channels at `rate` Hz in `mode` that changes nothing.

    Where the analysis window of `mode` asks for a shorter frame than the identity's, another takes its place: neither
    window nor frame enter the delay.
    """
    separator = Separator.load(find_separator("identity"))
    window = analysis_window(mode.analysis, separator.metadata.n_fft)
    try:
        synthesis_window(window, mode.hop, mode.synthesis)
    except ValueError:
        mode = replace(mode, analysis=f"asymmetric-{mode.synthesis - mode.hop}")
    return Engine(separator, mode, 2, "single", Mix((1.0,)), rate)


def measure_delay(mode: Mode, latency: Latency, block: int, rate: int, engine_rate: float) -> int | None:
    """Return by how many samples a click comes out late; None if it met a gap.

    It goes through the identity separator, chain, stream and bridge, computed in lockstep.
    """
    stream = Stream(chain_for(identity_engine(mode, engine_rate), rate), latency, rate, block)
    # Neither at the start of a hop nor of a block, and late enough to meet a running stream.
    at = 8 * (mode.hop + block) + 37
    sound = np.zeros((-(-(at + latency.inside + 4 * mode.synthesis) // block) * block, 2), np.float32)
    sound[at] = 0.5
    read = reader(sound)
    stream.prime(read)
    heard = np.empty((len(sound) - latency.read_ahead, 2), np.float32)
    for start in range(0, len(heard), block):
        stream.lockstep(read(block), heard[start : start + block], block)
    # A gap is filled with the dry sound at the right place, which would prove nothing.
    if stream.misses or stream.bridge.counts().gaps:
        return None
    return int(np.argmax(np.abs(heard).max(axis=1))) - at
