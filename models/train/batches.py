"""Batches of remixes, prepared on a thread of their own while the one before trains.

With every batch goes the data's state after it, for the thread runs ahead of the training.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from models.bandloss import band_sums
from models.data.remix import Remix
from models.train.compressed import SIZES, compress, spectra
from models.train.conditions import Wishes
from models.train.windows import HostWindows

AHEAD = 2
_ENDLESS = 2**40


@dataclass(frozen=True)
class Heard:
    """What the host would play of the targets, of one channel: see models/train/windows.py.

    mixture complex64 [lanes, frames, bins]; sound [lanes, queries, runs, samples]; energy [lanes, queries] of it
    and whole [lanes, 1] of the mixture; of each size in models/train/compressed.py: its compressed spectra, and
    theirs and the mixture's sums of squares. Frames of size n begin at `place` * n.
    """

    windows: HostWindows
    channel: int
    place: float
    mixture: Tensor
    sound: Tensor
    energy: Tensor
    whole: Tensor
    spectra: dict[int, tuple[Tensor, Tensor, Tensor]]

    def to(self, device: torch.device) -> Heard:
        """Return the same on another device."""
        moved = {name: getattr(self, name).to(device) for name in ("mixture", "sound", "energy", "whole")}
        return replace(self, **moved, spectra={n: tuple(v.to(device) for v in s) for n, s in self.spectra.items()})


@dataclass(frozen=True)
class Batch:
    """A clip of every lane: `powers` [lanes, frames, 3, bands] for the features, and what the loss takes.

    That is `sums` [3, lanes, frames, queries, 2, bands] of models/bandloss.py, or `heard`; arrays on the CPU, tensors
    elsewhere. `after` is the state of the data once this batch is used up.
    """

    wishes: Wishes
    powers: np.ndarray | Tensor
    sums: np.ndarray | Tensor
    heard: Heard | None
    after: dict

    def to(self, device: torch.device) -> Batch:
        """Return the same for another device."""
        if device.type == "cpu":
            return self
        sums, powers = (torch.as_tensor(v).to(device, non_blocking=True) for v in (self.sums, self.powers))
        heard = None if self.heard is None else self.heard.to(device)
        return replace(self, wishes=self.wishes.to(device), powers=powers, sums=sums, heard=heard)


class Source:
    """Makes batches; `state` and `restore` are those of all that is drawn for them."""

    def __init__(self, data: Remix, windows: list[HostWindows], edges: np.ndarray, heard: bool, seed: int) -> None:
        self.data, self.windows, self.edges, self.heard = data, windows, edges, heard
        self.generator = torch.Generator().manual_seed(seed)

    def state(self) -> dict:
        """Return plain data and tensors."""
        return {"remix": self.data.state(), "generator": self.generator.get_state()}

    def restore(self, state: dict) -> None:
        """Go on from a `state()`."""
        self.data.restore(state["remix"])
        self.generator.set_state(state["generator"])

    def next(self) -> Batch:
        """Return the next batch, through the windows of a mode drawn for it."""
        draw = self.generator
        windows = self.windows[int(torch.randint(len(self.windows), (), generator=draw))]
        wishes = Wishes.drawn(len(self.data.scenes), self.data.frames, draw)
        stems, curves = self.data.next(windows.analysis)
        by_frame = wishes.by_frame()
        if not self.heard:
            sums, powers = band_sums(stems, curves, by_frame, self.edges)
            return Batch(wishes, powers, sums, None, self.state())
        # The features take the mixture's powers only: no query, no sums.
        sums, powers = band_sums(stems, curves, by_frame[:, :, :0], self.edges)
        channel = int(torch.randint(stems.shape[2], (), generator=draw))
        place = float(torch.rand((), generator=draw))
        return Batch(wishes, powers, sums, heard(stems, curves, by_frame, windows, channel, place), self.state())


def heard(stems: Tensor, curves: Tensor, condition: Tensor, windows: HostWindows, channel: int, place: float) -> Heard:
    """Return what is heard of the targets: `stems` and `curves` as of `Remix.next`, `condition` by frame."""
    parts = torch.view_as_complex(stems[:, :, channel].contiguous()) * curves[:, :, None]
    sounds = windows.heard(parts.transpose(1, 2))
    mixture, whole = parts.sum(1), sounds.sum(1, keepdim=True)
    if condition.shape[1] == 1:
        sound = torch.einsum("bqs,bsrn->bqrn", condition[:, 0], sounds)
    else:
        sound = windows.heard(torch.einsum("btqs,bstk->btqk", condition.to(parts.dtype), parts))
    kinds = {}
    for size in SIZES:
        if size <= sound.shape[-1]:
            wanted, all_of_it = (compress(spectra(v, size, place)) for v in (sound, whole))
            kinds[size] = (wanted, _power(wanted), _power(all_of_it))
    return Heard(windows, channel, place, mixture, sound, _power(sound), _power(whole), kinds)


def _power(x: Tensor) -> Tensor:
    parts = torch.view_as_real(x) if x.is_complex() else x
    return parts.square().flatten(2).sum(2)


class Batches:
    """The endless batches of a source, made ahead. What goes wrong with them is raised where the next is asked for."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._queue: queue.Queue = queue.Queue(AHEAD)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._fill, daemon=True)

    def _fill(self) -> None:
        while not self._stopped.is_set():
            try:
                batch = self._source.next()
            except Exception as error:  # noqa: BLE001  it is raised where somebody hears of it
                batch = error
            while not self._stopped.is_set():
                try:
                    self._queue.put(batch, timeout=0.2)
                    break
                except queue.Full:
                    continue
            if isinstance(batch, Exception):
                return

    def __iter__(self) -> Iterator[Batch]:
        self._thread.start()
        while True:
            batch = self._queue.get()
            if isinstance(batch, Exception):
                raise batch
            yield batch

    def __len__(self) -> int:
        """Beyond any training: Lightning fetches no batch in advance where it knows which is the last."""
        return _ENDLESS

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(10)
