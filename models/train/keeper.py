"""When a run is saved and when it ends; all processes agree on it at every step."""

from __future__ import annotations

import math
import signal
import time
from pathlib import Path

import torch
from lightning.pytorch import Callback, Trainer
from torch import distributed

from models.train import checkpoint
from models.train.module import NotFinite, Training


class Keeper(Callback):
    """Writes checkpoints every `every` seconds and at the end; ends a run by its limits or on SIGTERM and SIGINT.

    `spent` are the seconds of the runs before, `traits` what the data's state in a checkpoint depends on.
    """

    def __init__(
        self, folder: Path, minutes: float | None, steps: int | None, every: float, spent: float, traits: dict
    ) -> None:
        self.folder, self.every, self.traits = folder, every, traits
        self.limit = math.inf if minutes is None else minutes * 60
        self.steps = math.inf if steps is None else steps
        self.spent, self.begun, self.saved = spent, time.monotonic(), time.monotonic()
        self.interrupted = False
        self.best = -math.inf

    @property
    def here(self) -> float:
        """Seconds of this run."""
        return time.monotonic() - self.begun

    @property
    def seconds(self) -> float:
        """Seconds of all runs."""
        return self.spent + self.here

    def on_train_start(self, trainer: Trainer, module: Training) -> None:
        self.begun = self.saved = time.monotonic()
        # After Lightning's own, which would end the run without saving.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._interrupt)

    def _interrupt(self, number: int, frame: object) -> None:
        if self.interrupted and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.interrupted = True

    def on_train_batch_end(self, trainer: Trainer, module: Training, *_) -> None:
        ended = self.interrupted or self.here >= self.limit
        due = time.monotonic() - self.saved >= self.every
        if trainer.world_size > 1:
            flags = torch.tensor([ended, due], dtype=torch.int32, device=module.device)
            distributed.all_reduce(flags, distributed.ReduceOp.MAX)
            ended, due = map(bool, flags.tolist())
        if ended or module.step >= self.steps or module.schedule.over(module.step):
            trainer.should_stop = True
        elif due:
            self.save(trainer, module)

    def on_train_end(self, trainer: Trainer, module: Training) -> None:
        self.save(trainer, module)

    def save(self, trainer: Trainer, module: Training) -> None:
        """Write the checkpoint; every process has to come here, for each keeps its own music."""
        self.saved = time.monotonic()
        every = [module.own()]
        if trainer.world_size > 1:
            every = [None] * trainer.world_size
            distributed.all_gather_object(every, module.own())
        if not trainer.is_global_zero:
            return
        document = module.document()
        tensors = [*document["model"].values(), *(own["state"] for own in every)]
        if not all(bool(tensor.isfinite().all()) for tensor in tensors):
            raise NotFinite(f"the network or its state is not finite at step {module.step}")
        document |= {"seconds": self.seconds, "best": self.best, "processes": every, "traits": self.traits}
        checkpoint.write(self.folder, document)
