"""A separator played as the host plays it: through the engine, hop by hop, aligned with what went in."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from models.evaluate.baselines import Estimator, Stems
from realtime.engine import Engine
from realtime.errors import HostError
from realtime.latency import Mode
from realtime.mix import Mix
from realtime.offline import separate_array
from realtime.separator import Separator


def streaming(separator: Separator, mode: Mode) -> Estimator:
    """Return the separator in `mode` as an estimator of all its stems."""
    names = separator.metadata.stems
    at_once = "stems" in separator.metadata.runs or len(names) == 1

    def estimate(mixture: np.ndarray, stems: Stems) -> Stems:
        audio = np.ascontiguousarray(mixture, np.float32)
        if at_once:
            return dict(zip(names, separate_array(separator, mode, audio), strict=True))
        return {name: conditioned(separator, mode, audio, [(0, name)]) for name in names}

    return estimate


def conditioned(
    separator: Separator, mode: Mode, audio: np.ndarray, wanted: Sequence[tuple[int, str]], glide: float = 0.0
) -> np.ndarray:
    """Return what `single` plays, [samples, channels], under one-hot conditions.

    `audio` is float32 [samples, channels]; `wanted` says from which sample on which stem is asked for, the first from
    0 on; each takes `glide` seconds. Raises HostError where the network gives NaN or infinity.
    """
    names = separator.metadata.stems
    mixes = [(at, Mix(tuple(float(name == stem) for name in names), glide=glide)) for at, stem in wanted]
    engine = Engine(separator, mode, audio.shape[1], "single", mixes[0][1])
    engine.ends_at = len(audio)
    for at, mix in mixes[1:]:
        engine.schedule.submit(mix, at)
    block = np.zeros((engine.step, audio.shape[1]), np.float32)
    played, given = np.zeros_like(audio), 0
    while given < len(audio):
        rows = audio[engine.end : engine.end + engine.step]
        block.fill(0)
        block[: len(rows)] = rows
        if not engine.process(block):
            raise HostError(f"separator '{separator.metadata.name}' gave numbers that are not finite")
        part = engine.master[max(0, -engine.start) : max(0, len(audio) - engine.start)]
        played[given : given + len(part)] = part
        given += len(part)
    return played
