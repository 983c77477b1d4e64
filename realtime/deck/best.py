"""The separator that the deck's files are prepared with: the one that was measured best, or the one that is named."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from realtime.errors import HostError
from realtime.metadata import Metadata
from realtime.separator import Separator


def best_mode(meta: Metadata) -> tuple[str, float]:
    """Return the mode with the highest mean SDR and that, in dB; where none was measured, the one with the longest window."""
    scores = {mode: float(np.mean(list(stems.values()))) for mode, stems in meta.quality.items() if stems}
    if scores:
        mode = max(scores, key=scores.get)
        return mode, scores[mode]
    return max(meta.modes, key=lambda mode: meta.modes[mode].synthesis), float("-inf")


def best_separator(own: Path, stems: Sequence[str], at_hand: Iterable[Path], named: Path | None = None) -> tuple[Separator, str]:
    """Return the separator of `stems`, of those `at_hand` and the run's `own`, with the best measured mode, and that mode.

    `named` goes before all others. Raises HostError where it cannot be loaded, or has other stems.
    """
    if named is not None:
        separator = Separator.load(named)
        meta = separator.metadata
        if sorted(meta.stems) != sorted(stems):
            raise HostError(f"{meta.name} has the stems {', '.join(meta.stems)}, and this run {', '.join(stems)}")
        return separator, best_mode(meta)[0]
    best = Separator.load(own)
    mode, score = best_mode(best.metadata)
    for path in at_hand:
        if path == own:
            continue
        try:
            other = Separator.load(path)
        except HostError:
            continue  # whoever wants it hears why
        found, its = best_mode(other.metadata)
        if sorted(other.metadata.stems) == sorted(stems) and its > score:
            best, mode, score = other, found, its
    return best, mode
