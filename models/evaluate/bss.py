"""BSS Eval version 4 by museval: SDR, ISR, SIR and SAR, medians over frames of a second."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np

from models.data.corpus import RATE
from models.evaluate.ratios import frame_sdr, median
from realtime.errors import HostError

WINDOW = RATE
"""Frames of a second, one after the other, as the campaigns measure."""

_DITHER = 2.0**-15


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

    Filters of 512 taps, one set for the whole signal. Both get the dither of 16-bit files, triangular, 96 dB below full
    scale: without it sources that lack some frequencies altogether, as compressed and synthesised ones do, determine
    no filters, and museval's ISR, SIR and SAR come out as anything (SDR does not change by a thousandth of a dB).
    Frames in which a source is digital silence do not count; NaN where none is left.
    """
    silent = np.isnan(frame_sdr(references, estimates, WINDOW)[0])
    if silent.all():
        return [Ratios(*(4 * [float("nan")]))] * len(references)
    random = np.random.default_rng(0)
    values = metrics.bss_eval(_dithered(references, random), _dithered(estimates, random), WINDOW, WINDOW)[:4]
    return [Ratios(*(median(frames[~silent]) for frames in source)) for source in zip(*values, strict=True)]


def _dithered(audio: np.ndarray, random: np.random.Generator) -> np.ndarray:
    return audio + _DITHER * (random.random(audio.shape) - random.random(audio.shape))
