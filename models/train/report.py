"""How a run goes: a progress bar on a terminal, a line every 50 steps elsewhere, and a row of the log every 20."""

from __future__ import annotations

import math
import sys
import time

from lightning.pytorch import Callback, Trainer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from models.data.layout import STEMS
from models.data.recordings import RATE
from models.train.keeper import Keeper
from models.train.log import Log
from models.train.module import Training
from models.train.windows import HOP

_LINES = 50
_REFRESH = 0.5


class Report(Callback):
    """Tells of a run and logs it; `lanes` are those of all processes together."""

    def __init__(self, rows: Log, keeper: Keeper, every: int, lanes: int, frames: int) -> None:
        self.rows, self.keeper, self.every = rows, keeper, every
        self.audio = lanes * frames * HOP / RATE
        self.console = Console(soft_wrap=True, highlight=False)
        self.progress: Progress | None = None
        self._first = 0
        self._logged = self._told = (0, 0.0)

    def say(self, text: str) -> None:
        """Print a line, above the bar where there is one."""
        (self.progress.console if self.progress else self.console).print(text, markup=False)
        sys.stdout.flush()

    def on_train_start(self, trainer: Trainer, module: Training) -> None:
        self._first, self._logged, self._told = module.step, (module.step, 0.0), (module.step, 0.0)
        if self.console.is_terminal:
            columns = (BarColumn(), TimeElapsedColumn(), TextColumn("{task.description}", markup=False))
            self.progress = Progress(*columns, console=self.console, auto_refresh=False)
            self._task = self.progress.add_task("first steps", total=1.0)
            self._refreshed = -math.inf
            self.progress.start()

    def on_train_batch_end(self, trainer: Trainer, module: Training, *_) -> None:
        now = self.keeper.here
        if module.step % self.every == 0:
            values = {"minutes": self.keeper.seconds / 60, "speed": self._speed(self._logged, module.step, now)}
            values |= {"rate": module.schedule.at(module.step - 1), "loss": mean(module.losses)}
            self.rows.add(module.step, values | dict(zip(STEMS, module.shown.tolist(), strict=True)))
            module.losses.clear()
            self._logged = (module.step, now)
        if self.progress is not None:
            if time.monotonic() - self._refreshed >= _REFRESH:
                self._refreshed = time.monotonic()
                speed = self._speed((self._first, 0.0), module.step, now)
                self.progress.update(self._task, completed=self._share(module), description=self._line(module, speed))
                self.progress.refresh()
        elif module.step % _LINES == 0:
            self.say(self._line(module, self._speed(self._told, module.step, now)))
            self._told = (module.step, now)

    def _share(self, module: Training) -> float:
        """How much of the run is done, by the limit that comes first."""
        keeper, plan = self.keeper, module.schedule
        ends = [
            step for step in (keeper.steps, plan.begin + plan.length if plan.length else math.inf) if step < math.inf
        ]
        shares = [(module.step - self._first) / max(1, step - self._first) for step in ends]
        return max([keeper.here / keeper.limit, *shares])

    def _speed(self, since: tuple[int, float], step: int, now: float) -> float:
        return (step - since[0]) * self.audio / max(now - since[1], 1e-9)

    def _line(self, module: Training, speed: float) -> str:
        scores = " ".join(f"{value:.2f}" for value in module.shown.tolist())
        return (
            f"{module.step} {self.keeper.seconds / 60:.1f} min  {speed:.0f} s/s  loss {module.latest:.3f}  SDR {scores}"
        )

    def teardown(self, trainer: Trainer, module: Training, stage: str) -> None:
        self.close()

    def on_exception(self, trainer: Trainer, module: Training, exception: BaseException) -> None:
        self.close()

    def close(self) -> None:
        """Take the bar away."""
        if self.progress is not None:
            self.progress.stop()
            self.progress = None
        self.rows.close()


def mean(values: list[float]) -> float:
    """Return the mean, NaN of nothing."""
    return sum(values) / len(values) if values else math.nan
