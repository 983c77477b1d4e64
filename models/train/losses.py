"""What a network is trained to make small: errors by bands, or of what the host's windows would let be heard."""

from __future__ import annotations

import torch
from torch import Tensor

from models.bandloss import ABSENT_SHARE, mask_loss
from models.train.batches import Batch, Heard
from models.train.compressed import error, spectra
from models.train.masking import masked

_QUIET = 1e-8
"""Power of a sample that counts as silence."""


def loss_of(logits: Tensor, batch: Batch, member: Tensor) -> tuple[Tensor, Tensor]:
    """Return (loss, SDR in dB [lanes, queries], NaN where the target is absent).

    `logits` [lanes, frames, queries, 2, channels, bands], which are consumed; `member` [bins] names each bin's band.
    """
    if batch.heard is not None:
        return windows_loss(logits, batch.heard, member)
    return mask_loss(logits, batch.sums, batch.powers)


def windows_loss(logits: Tensor, target: Heard, member: Tensor) -> tuple[Tensor, Tensor]:
    """The error over the target in dB, of the waveform and of compressed spectra, through the windows of a mode.

    Of one channel a batch, drawn: both are alike in what they teach, and it is half the work.
    """
    windows = target.windows
    sound = windows.heard(masked(logits[..., target.channel, :].float(), target.mixture, member))
    distance = (sound - target.sound).square().flatten(2).sum(2)
    quiet = _QUIET * sound[0, 0].numel()
    present = target.energy > 1e-2 * target.whole
    over, under = distance + 1e-3 * target.whole + quiet, target.energy + 1e-2 * target.whole + quiet
    decibels = 10 * torch.log10(over / under)
    for size, (wanted, energy, whole) in target.spectra.items():
        distances = error(spectra(sound, size, target.place), wanted)
        floor = 1e-3 * wanted[0, 0].numel()
        ratio = (distances + 0.01 * whole + floor) / (energy + 0.05 * whole + floor)
        decibels = decibels + 10 * torch.log10(ratio) / len(target.spectra)
    share = torch.where(present, 1.0, ABSENT_SHARE)
    score = 10 * torch.log10((target.energy + quiet) / (distance.detach() + quiet))
    return (share * decibels).mean(), score.masked_fill(~present, torch.nan)
