"""Who takes part in the contest: our engine, a plain matrix product, and what else a user might pick."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from unittest.mock import MagicMock

import numpy as np

from realtime.bench.arithmetic import count_macs
from realtime.bench.contest import Entrant
from realtime.engine import Engine, full_mix
from realtime.errors import HostError
from realtime.library import find_separator
from realtime.separator import Separator, flush_denormals

# Rows and columns of the matrices: enough for the library to be at its best.
SIZE = 512
PRODUCT, ALONE, ENGINE = f"{SIZE} x {SIZE} matrix product", "network alone", "engine without network"

# What hs-tasnet trains with, plots with, and reads and writes sound with. Its network needs none of it, and some of it
# does not load everywhere: torchaudio beside a CPU-only torch, torchcodec and musdb without FFmpeg.
_BESIDE = (
    "torchaudio",
    "torchaudio.functional",
    "torchcodec",
    "torchcodec.encoders",
    "librosa",
    "matplotlib",
    "matplotlib.pyplot",
    "sounddevice",
    "accelerate",
    "ema_pytorch",
    "musdb",
)


def ours(path: Path, mode: str, run: str) -> Entrant:
    """Return the engine that runs the separator at `path`: all of a hop's work, STFT and mix included."""
    separator = Separator.load(path)
    meta = separator.metadata
    engine = Engine(separator, meta.modes[mode], 2, run, full_mix(meta.stems))
    flush_denormals()
    noise = _noise(engine.step, 2)
    stems, macs = engine.streams, count_macs(separator, engine.streams)
    return Entrant(
        f"{meta.name} {mode} {run}", lambda: engine.process(noise), stems, engine.step, int(engine.rate), macs
    )


def engine_alone() -> Entrant:
    """Return the engine around a separator that changes nothing, in mode low: STFT, mix and all, for one stereo stream."""
    return replace(ours(find_separator("identity"), "low", "single"), name=ENGINE, macs=None)


def network(path: Path, run: str) -> Entrant:
    """Return the network of the separator at `path` alone, as the engine calls it: what its arithmetic is counted against."""
    separator = Separator.load(path)
    meta = separator.metadata
    stems = len(meta.stems) if run == "stems" else 1
    runner = separator.runner(stems)
    runner.mixture[:] = np.random.default_rng(0).standard_normal(runner.mixture.shape)
    runner.condition[:] = np.eye(len(meta.stems))[:stems]
    flush_denormals()
    return Entrant(f"{meta.name} {run}, {ALONE}", runner.run, stems, macs=count_macs(separator, stems))


def matrix_product() -> Entrant:
    """Return a product of two square float32 matrices by the linear algebra library that numpy comes with."""
    a, b, c = (_noise(SIZE, SIZE) for _ in range(3))
    return Entrant(PRODUCT, lambda: np.matmul(a, b, out=c), macs=SIZE**3)


def hs_tasnet(small: bool) -> Entrant:
    """Return HS-TasNet (Venkatesh et al. 2024, arXiv 2402.17701) of the package `hs-tasnet`, with random weights.

    One step takes a hop of its stream and gives its stems. Torch comes into this process with it. Raises HostError where it is
    not installed or does not load.
    """
    module = _peer("hs_tasnet", "hs-tasnet")
    try:
        sys.modules["torch"].set_num_threads(1)
        network = module.HSTasNet(small=small)
        step = network.init_stateful_transform_fn()
        noise = np.ascontiguousarray(_noise(network.overlap_len, 2).T)
        stems = len(step(noise))
    except Exception as problem:  # noqa: BLE001 - somebody else's code
        raise HostError(f"hs-tasnet did not run ({_shown(problem)}), so it was not timed") from None
    name = f"HS-TasNet{' small' if small else ''} {importlib.metadata.version('hs-tasnet')}"
    return Entrant(name, lambda: step(noise), stems, network.overlap_len, network.sample_rate)


def _peer(name: str, package: str) -> ModuleType:
    if importlib.util.find_spec(name) is None:
        raise HostError(f"{package} is not installed, so it was not timed: pip install {package} (it brings torch)")
    for each in _BESIDE:
        sys.modules.setdefault(each, MagicMock())
    try:
        return importlib.import_module(name)
    except Exception as problem:  # noqa: BLE001 - what a package of somebody else raises on loading is its own affair
        raise HostError(f"{package} is installed but does not load ({_shown(problem)}), so it was not timed") from None


def _shown(problem: Exception) -> str:
    return " ".join(f"{type(problem).__name__}: {problem}".split())[:200]


def _noise(rows: int, columns: int) -> np.ndarray:
    return 0.1 * np.random.default_rng(0).standard_normal((rows, columns)).astype(np.float32)
