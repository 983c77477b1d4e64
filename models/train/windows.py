"""The windows of the host's latency modes, from the spectra of a batch to the sound that the host would play."""

from __future__ import annotations

import torch
from torch import Tensor

from models.card import MODES
from realtime.errors import HostError
from realtime.latency import Mode
from realtime.windows import analysis_window, synthesis_window

ANALYSIS = "asymmetric-512"
"""What the network is measured with."""
HOP = 512
"""Samples between the frames of a batch, whatever the mode: where a mode's own hop is shorter, several states of
the network take turns, and each sees frames this far apart."""


class HostWindows:
    """The windows of one mode: `analysis` float32 [n_fft], `synthesis` float32 for the last samples of a frame.

    Raises HostError for a mode that frames `HOP` apart cannot serve.
    """

    def __init__(self, name: str, mode: Mode, n_fft: int) -> None:
        if mode.hop > HOP or mode.synthesis > n_fft:
            raise HostError(
                f"the mode '{name}' (hop {mode.hop}, synthesis window {mode.synthesis}) cannot be trained for with "
                f"frames of {n_fft} samples, {HOP} apart; name other --modes, of a hop up to {HOP}"
            )
        window = analysis_window(mode.analysis, n_fft)
        self.name, self.n_fft = name, n_fft
        self.analysis = torch.from_numpy(window).float()
        self.synthesis = torch.from_numpy(synthesis_window(window, mode.hop, mode.synthesis)).float()
        self.added = mode.hop == HOP

    def heard(self, spectra: Tensor) -> Tensor:
        """Complex [lanes, frames, queries, bins] to sound, float32 [lanes, queries, runs, samples].

        With a hop of 512 it is what overlap-add finishes within the batch, one run. With a shorter one the
        frames between are not there; each frame's own windowed last samples are a run then. The squares of
        their errors sum up to what overlap-add would leave of them but for the terms between frames.
        """
        sound = torch.fft.irfft(spectra, self.n_fft)[..., -len(self.synthesis) :] * self.synthesis.to(spectra.device)
        if not self.added:
            return sound.transpose(1, 2)
        overlap = -(-len(self.synthesis) // HOP)
        sound = torch.nn.functional.pad(sound, (0, overlap * HOP - len(self.synthesis)))
        blocks = sound.unflatten(-1, (overlap, HOP))
        frames = spectra.shape[1]
        whole = sum(blocks[:, overlap - 1 - k : frames - k, :, k] for k in range(overlap))
        return whole.transpose(1, 2).flatten(2).unsqueeze(2)


def host_windows(names: list[str], n_fft: int) -> list[HostWindows]:
    """Return the windows of the modes called `names`."""
    return [HostWindows(name, MODES[name], n_fft) for name in names]
