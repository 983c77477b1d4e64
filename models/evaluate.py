"""Measure separators on held-out excerpts, through the exported file and the streaming engine.

    python -m models.evaluate --data STEMS --model lasaft-live --latency low

Whole-signal SDR per stem: 10 log10 of the reference's energy over the error's, both channels and
all samples together; the median over excerpts. Beside it: the mixture as the estimate, the bands of the
separator `isolator` with the best fixed gains (the DJ's equaliser), and the ideal ratio mask.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from models.crossover import band_gains
from models.data.corpus import RATE, STEMS, Corpus, read_stereo
from realtime.errors import HostError
from realtime.library import find_separator
from realtime.offline import separate_array
from realtime.separator import Separator
from realtime.session import mode_of

Excerpt = dict[str, np.ndarray]
Estimator = Callable[[np.ndarray, Excerpt], dict[str, np.ndarray]]


def sdr(reference: np.ndarray, estimate: np.ndarray) -> float:
    """Return the signal-to-distortion ratio in dB over all samples and channels."""
    error = float(np.sum((reference.astype(np.float64) - estimate) ** 2))
    return 10 * np.log10(float(np.sum(reference.astype(np.float64) ** 2)) / max(error, 1e-12))


def bands_of(audio: np.ndarray) -> np.ndarray:
    """Split [samples, channels] into low, mid and high, [3, samples, channels]; they sum to the input.

    Over the whole signal rather than frame by frame, so that the baseline is what no latency mode can spoil.
    """
    spectrum = np.fft.rfft(audio, axis=0)
    parts = band_gains(np.fft.rfftfreq(len(audio), 1 / RATE))
    return np.stack([np.fft.irfft(spectrum * part[:, None], len(audio), axis=0) for part in parts])


def fit_isolator(corpus: Corpus) -> dict[str, np.ndarray]:
    """Return for each stem the three gains that leave the least error over the train songs."""
    normal = np.zeros((3, 3))
    right = {stem: np.zeros(3) for stem in STEMS}
    for song in corpus.songs("train"):
        stems = {stem: read_stereo(song / f"{stem}.ogg") for stem in STEMS}
        bands = bands_of(sum(stems.values())).reshape(3, -1)
        normal += bands @ bands.T
        for stem in STEMS:
            right[stem] += bands @ stems[stem].ravel()
    return {stem: np.linalg.solve(normal, right[stem]) for stem in STEMS}


def ideal_mask(mixture: np.ndarray, stems: Excerpt, n_fft: int = 2048, hop: int = 512) -> dict[str, np.ndarray]:
    """Return what the ratio mask |S| / sum |S_i| made from the true stems gives, Hann windows."""
    window = np.sin(np.pi * (np.arange(n_fft) + 0.5) / n_fft)
    padded = {name: np.pad(audio, ((n_fft, 2 * n_fft), (0, 0))) for name, audio in stems.items()}
    starts = range(0, len(next(iter(padded.values()))) - n_fft, hop)
    result = {name: np.zeros_like(audio, dtype=np.float64) for name, audio in padded.items()}
    shape = window[:, None]
    for start in starts:
        spectra = {name: np.fft.rfft(audio[start : start + n_fft] * shape, axis=0) for name, audio in padded.items()}
        total = sum(np.abs(s) for s in spectra.values()) + 1e-9
        mixed = sum(spectra.values())
        for name, spectrum in spectra.items():
            frame = np.fft.irfft(np.abs(spectrum) / total * mixed, n_fft, axis=0)
            result[name][start : start + n_fft] += frame * shape * (2 * hop / n_fft)
    return {name: audio[n_fft : n_fft + len(mixture)] for name, audio in result.items()}


def separator_estimator(separator: Separator, latency: str) -> Estimator:
    """Return the separator as an estimator, run hop by hop as the host runs it."""
    mode = mode_of(separator, latency)
    names = separator.metadata.stems

    def estimate(mixture: np.ndarray, stems: Excerpt) -> dict[str, np.ndarray]:
        return dict(zip(names, separate_array(separator, mode, mixture.astype(np.float32)), strict=True))

    return estimate


def at_equal_loudness(excerpt: Excerpt) -> Excerpt:
    """Return the excerpt with every stem at the same RMS, the loudest kept."""
    levels = {name: float(np.sqrt(np.mean(audio**2))) for name, audio in excerpt.items()}
    highest = max(levels.values())
    return {name: (audio * (highest / max(levels[name], 1e-9))).astype(np.float32) for name, audio in excerpt.items()}


def scores(estimate: Estimator, excerpts: list[Excerpt]) -> dict[str, list[float]]:
    """Return the SDR of every stem the estimator gives, in dB, excerpt by excerpt."""
    result: dict[str, list[float]] = {}
    for excerpt in excerpts:
        mixture = sum(excerpt.values())
        for name, audio in estimate(mixture, excerpt).items():
            result.setdefault(name, []).append(sdr(excerpt[name], audio))
    return result


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the stem corpus")
    parser.add_argument(
        "--model", action="append", metavar="NAME_OR_FILE", help="separator; may be given several times"
    )
    parser.add_argument(
        "--latency", action="append", help="latency mode; may be given several times (default: all the file claims)"
    )
    parser.add_argument("--split", default="test", choices=("valid", "test"))
    parser.add_argument("--count", type=int, default=5, help="number of excerpts (default: the first five)")
    parser.add_argument("--equal-loudness", action="store_true", help="bring the stems of each excerpt to one RMS")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    try:
        corpus = Corpus(options.data)
        excerpts = corpus.excerpts(options.split)[: options.count]
        if options.equal_loudness:
            excerpts = [at_equal_loudness(excerpt) for excerpt in excerpts]
        gains = fit_isolator(corpus)
        rows: dict[str, Estimator] = {}
        hashes = {}
        for name in options.model or ["lasaft-live"]:
            separator = Separator.load(find_separator(name))
            if unknown := sorted(set(separator.metadata.stems) - set(STEMS)):
                raise HostError(
                    f"separator '{name}' gives '{unknown[0]}', and the corpus has only {', '.join(STEMS)} to compare with"
                )
            hashes[separator.metadata.name] = separator.metadata.weights
            for latency in options.latency or separator.metadata.modes:
                rows[f"{separator.metadata.name}, {latency}"] = separator_estimator(separator, latency)
    except HostError as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 1
    rows["mixture"] = lambda mixture, stems: {name: mixture for name in STEMS}
    rows["three-band isolator"] = lambda mixture, stems: {
        name: np.tensordot(gains[name], bands_of(mixture), 1) for name in STEMS
    }
    rows["ideal ratio mask"] = ideal_mask
    print(
        f"whole-signal SDR in dB, median of {len(excerpts)} excerpts of the {options.split} song"
        + (", stems at equal loudness" if options.equal_loudness else "")
    )
    print(f"{'':<24}" + "".join(f"{name:>9}" for name in (*STEMS, "mean")))
    document = {
        "split": options.split,
        "count": len(excerpts),
        "equal_loudness": options.equal_loudness,
        "weights": hashes,
        "sdr": {},
    }
    for label, estimator in rows.items():
        values = {name: float(np.median(v)) for name, v in scores(estimator, excerpts).items()}
        document["sdr"][label] = values
        cells = "".join(f"{values[name]:9.2f}" if name in values else f"{'-':>9}" for name in STEMS)
        mean = f"{np.mean([values[name] for name in STEMS]):9.2f}" if len(values) == len(STEMS) else f"{'-':>9}"
        print(f"{label:<24}{cells}{mean}", flush=True)
    for name, digest in hashes.items():
        print(f"weights of {name}: sha256 {digest}")
    if options.json is not None:
        options.json.write_text(json.dumps(document, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
