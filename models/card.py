"""Metadata of the shipped separators: what they were trained on, and what was measured."""

from __future__ import annotations

from collections.abc import Sequence

from realtime.latency import Mode
from realtime.metadata import Metadata, Training

# Trained at hop 512. Shorter hops interleave states, so that each sees frames as far apart as in training.
MODES = {
    "safe": Mode(512, 2048, "asymmetric-512"),
    "low": Mode(512, 1024, "asymmetric-512"),
    "lower": Mode(256, 512, "asymmetric-256", interleave=2),
    "extreme": Mode(128, 256, "asymmetric-128", interleave=4),
}

TRAINING = Training(
    data="Everything is Free (Software-Entwicklungskit), train split of five songs; 459 sung phrases, 317 bass notes "
    "and 116 drum samples; bass and accompaniment lines synthesised by models/data/tones.py",
    licence="weights MIT; all training audio CC0",
)


def lasaft_live_metadata(
    quality: dict[str, dict[str, float]],
    training: Training = TRAINING,
    name: str = "lasaft-live",
    n_fft: int = 2048,
    modes: Sequence[str] = tuple(MODES),
) -> Metadata:
    """Return the metadata of LaSAFT-Live; `quality` is SDR in dB per mode and stem, those not in `modes` left out."""
    return Metadata(
        name=name,
        architecture="LaSAFT-Live",
        stems=("vocals", "drums", "bass", "other"),
        sample_rates=(44100,),
        channels=2,
        n_fft=n_fft,
        frames=1,
        lookahead=0,
        modes={mode: MODES[mode] for mode in modes},
        training=training,
        quality={mode: figures for mode, figures in quality.items() if mode in modes},
    )
