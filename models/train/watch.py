"""Scores and pictures of validation excerpts while a training goes on, and the weights that scored best."""

from __future__ import annotations

import copy
import time
from pathlib import Path

import numpy as np
from lightning.pytorch import Callback, Trainer

from models.data.layout import STEMS
from models.train import checkpoint, pictures
from models.train.keeper import Keeper
from models.train.module import Training
from models.train.report import Report
from models.train.scores import equally_loud, quick_scores


class Watch(Callback):
    """Scores `excerpts` with the averaged weights every `valid` seconds, draws the first every `picture` seconds.

    The weights with the best mean over the stems at equal loudness go to best.pt.
    """

    def __init__(
        self, excerpts: list[dict[str, np.ndarray]], folder: Path, report: Report, valid: float, picture: float
    ) -> None:
        self.excerpts, self.equal = excerpts, [equally_loud(excerpt) for excerpt in excerpts]
        self.folder, self.report, self.valid, self.picture = folder, report, valid, picture
        self._scored = self._drawn = time.monotonic()
        self._scored_at = self._drawn_at = -1

    @property
    def keeper(self) -> Keeper:
        """The run's keeper, which keeps the best score."""
        return self.report.keeper

    def on_train_start(self, trainer: Trainer, module: Training) -> None:
        self._scored = self._drawn = time.monotonic()
        self._scored_at = self._drawn_at = module.step

    def on_train_batch_end(self, trainer: Trainer, module: Training, *_) -> None:
        if time.monotonic() - self._scored >= self.valid:
            self._score(module)
        if self.picture and time.monotonic() - self._drawn >= self.picture:
            self._draw(module)

    def on_train_end(self, trainer: Trainer, module: Training) -> None:
        # Who wants it to stop at once does not want to wait for this.
        if self.keeper.interrupted:
            return
        if module.step > self._scored_at:
            self._score(module)
        if self.picture and module.step > self._drawn_at:
            self._draw(module)

    def _score(self, module: Training) -> None:
        network = copy.deepcopy(module.average).cpu()
        valid, equal = quick_scores(network, self.excerpts), quick_scores(network, self.equal)
        names = [f"{kind}_{stem}" for kind in ("valid", "equal") for stem in STEMS]
        values = dict(zip(names, [*valid, *equal], strict=True))
        self.report.rows.add(module.step, {"minutes": self.keeper.seconds / 60} | values)
        best = float(np.nanmean(equal))
        new = best > self.keeper.best
        if new:
            self.keeper.best = best
            checkpoint.write_weights(self.folder / checkpoint.BEST, module.document())
        told = " ".join(f"{v:.2f}" for v in valid) + "  equally loud " + " ".join(f"{v:.2f}" for v in equal)
        self.report.say(f"valid {told}  mean {best:.2f}" + (f", the best yet: {checkpoint.BEST}" if new else ""))
        self._scored, self._scored_at = time.monotonic(), module.step

    def _draw(self, module: Training) -> None:
        try:
            pictures.draw(copy.deepcopy(module.average).cpu(), self.excerpts[0], self.folder, module.step)
        except ImportError:
            self.report.say("no pictures: they need matplotlib, of the train extra; the training goes on")
            self.picture = 0
        self._drawn, self._drawn_at = time.monotonic(), module.step
