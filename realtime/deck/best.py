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
        if not _gives_stems(meta):
            raise HostError(f"{meta.name} gives one stem at a time, and all are wanted")
        return separator, best_mode(meta)[0]
    best: Separator | None = None
    mode, score = "", float("-inf")
    # The run's own first: of equals, it.
    for path in (own, *at_hand):
        try:
            other = Separator.load(path)
        except HostError:
            continue  # whoever wants it hears why
        meta = other.metadata
        found, its = best_mode(meta)
        fits = sorted(meta.stems) == sorted(stems) and _gives_stems(meta)
        if fits and (best is None or its > score):
            best, mode, score = other, found, its
    if best is None:
        raise HostError(f"no separator at hand gives the stems {', '.join(stems)} all at once")
    return best, mode


def _gives_stems(meta: Metadata) -> bool:
    return "stems" in meta.runs or len(meta.stems) == 1
