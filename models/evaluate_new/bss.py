"""BSS Eval version 4 by museval: SDR, ISR, SIR and SAR, medians over frames of a second."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np

from models.data.corpus import RATE
from models.evaluate.ratios import median
from realtime.errors import HostError

WINDOW = RATE
"""Frames of a second, one after the other, as the campaigns measure."""


@dataclass(frozen=True)
class Ratios:
    """Of one source, in dB: distortion, spatial distortion, interference, artifacts."""

    sdr: float
    isr: float
    sir: float
    sar: float


def museval_metrics() -> ModuleType:
    """Return museval's module of measures. Raises HostError where it is not installed.

    The module alone: the package around it also wants MUSDB18's reader and with it ffmpeg, which measuring does not.
    """
    found = importlib.util.find_spec("museval")
    try:
        if found is None or found.origin is None:
            raise ImportError
        file = Path(found.origin).with_name("metrics.py")
        spec = importlib.util.spec_from_file_location("_museval_metrics", file)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    except (ImportError, OSError):
        raise HostError(
            "museval is not installed, so ISR, SIR and SAR are left out (the SDR of frames needs no museval); "
            "install the extra, pip install -e '.[train]'"
        ) from None
    return module


def bss_eval(metrics: ModuleType, references: np.ndarray, estimates: np.ndarray) -> list[Ratios]:
    """Return the medians over frames for every source; `references`, `estimates` are [sources, samples, channels].

    Filters of 512 taps, one set for the whole signal. NaN where a source is digital silence all along, and where two
    references are so alike that no filters can be found.
    """
    nothing = [Ratios(*(4 * [float("nan")]))] * len(references)
    if any(not each.sum(-1).any() for each in (*references, *estimates)):
        return nothing
    try:
        values = metrics.bss_eval(references.astype(np.float64), estimates.astype(np.float64), WINDOW, WINDOW)[:4]
    except (np.linalg.LinAlgError, AttributeError):  # museval itself stumbles over a name that numpy 2 took away
        return nothing
    return [Ratios(*(median(frames) for frames in source)) for source in zip(*values, strict=True)]
