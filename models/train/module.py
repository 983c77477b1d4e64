"""The training as a Lightning module: carried states, gradient clipping, the average, and what must last a restart."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from lightning.pytorch import LightningModule
from torch import Tensor

from models.data.layout import STEMS
from models.live_network import LiveNetwork
from models.train.batches import Batch
from models.train.losses import loss_of
from models.train.precision import keep_recurrences
from models.train.schedule import Schedule
from models.train.teacher import Teacher
from realtime.errors import HostError

WEIGHT_DECAY = 0.02
CLIP = 2.0
FORGET = 0.08
_KEEP = 0.9985
_SMOOTH = 0.02


class NotFinite(HostError):
    """The loss, or its gradient, is no number; every process of a training finds that at the same step."""


def optimiser_of(network: LiveNetwork, rate: float) -> torch.optim.Optimizer:
    """Return what changes the weights of `network`."""
    return torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=WEIGHT_DECAY, betas=(0.9, 0.98))


@torch.no_grad()
def follow(average: LiveNetwork, network: LiveNetwork, step: int, most: float = _KEEP) -> None:
    """Move the weights of `average` towards those of `network`: soon at first, at last by 1 - `most` a step."""
    keep = min(most, (1 + step) / (10 + step))
    torch._foreach_lerp_(list(average.parameters()), list(network.parameters()), 1 - keep)


class Training(LightningModule):
    """Trains `network` on batches whose lanes run on; `average` follows it.

    Truncated back-propagation: every lane's state is carried from batch to batch, and forgotten now and then. All
    stems and a random blend are asked for in every pass over the trunk. `document` is a checkpoint to go on from.
    """

    def __init__(
        self,
        network: LiveNetwork,
        average: LiveNetwork,
        schedule: Schedule,
        lanes: int,
        seed: int,
        teacher: Teacher | None = None,
    ) -> None:
        super().__init__()
        self.schedule, self.lanes = schedule, lanes
        # Held back from torch's book-keeping: it is not trained.
        self._beside = {"average": average.eval(), "teacher": teacher}
        keep_recurrences(network)
        self.network = network
        self.seed, self.step, self.shown = seed, 0, torch.full((len(STEMS),), torch.nan)
        # Since the last row of the log, and the last one.
        self.losses: list[float] = []
        self.latest = 0.0
        self.after: dict | None = None
        self._state = network.begin(lanes)
        self._forget = torch.Generator().manual_seed(seed)
        self._optimiser: dict | None = None
        self._random: dict | None = None
        bins = network.config.n_fft // 2 + 1
        bands = torch.arange(len(network.bands.edges) - 1, dtype=torch.float32)
        self.register_buffer("member", network.bands.spread(bands).long(), persistent=False)
        if len(self.member) != bins:
            raise HostError(f"the network's bands cover {len(self.member)} bins, not {bins}; training has not begun")

    @property
    def average(self) -> LiveNetwork:
        """The network with the average of the weights."""
        return self._beside["average"]

    @property
    def teacher(self) -> Teacher | None:
        """Where the network learns from another, that one."""
        return self._beside["teacher"]

    def go_on(self, document: dict, own: dict | None) -> None:
        """Take over the step and the optimiser of a checkpoint, and what `own` has of this process."""
        self.step = document.get("step", 0)
        self._optimiser = document.get("optimiser")
        self.losses = list(document.get("losses", []))
        if (shown := document.get("shown")) is not None:
            self.shown = torch.tensor(shown)
        if own is not None:
            self._state, self.after, self._random = own["state"], own["data"], own["random"]
            if self.teacher is not None and "teacher" in own:
                self.teacher.state = own["teacher"]

    def own(self) -> dict:
        """Return what a checkpoint has to keep of this process: its lanes, its data, its random generators."""
        random = {"forget": self._forget.get_state(), "torch": torch.get_rng_state()}
        if self.device.type == "cuda":
            random["cuda"] = torch.cuda.get_rng_state(self.device)
        states = {"state": self._state.detach().cpu()}
        if self.teacher is not None:
            states["teacher"] = self.teacher.state.cpu()
        return {**states, "data": self.after, "random": random}

    def document(self) -> dict:
        """Return what a checkpoint has to keep of all processes alike."""
        return {
            "config": self.network.config.to_dict(),
            "model": {k: v.cpu() for k, v in self.network.state_dict().items()},
            "average": {k: v.cpu() for k, v in self.average.state_dict().items()},
            "optimiser": self.optimizers(use_pl_optimizer=False).state_dict(),
            "step": self.step,
            "shown": self.shown.tolist(),
            "losses": list(self.losses),
            "anneal": [self.schedule.begin, self.schedule.length],
        }

    def configure_optimizers(self) -> torch.optim.Optimizer:
        optimiser = optimiser_of(self.network, self.schedule.rate)
        if self._optimiser is not None:
            optimiser.load_state_dict(self._optimiser)
            self._optimiser = None
        return optimiser

    def on_train_start(self) -> None:
        self.average.to(self.device)
        if self.teacher is not None:
            self.teacher.to(self.device)
        self._state = self._state.to(self.device)
        # All networks begin alike, and what is left out of them differs.
        torch.manual_seed(self.seed)
        if self._random is not None:
            self._forget.set_state(self._random["forget"])
            torch.set_rng_state(self._random["torch"])
            if self.device.type == "cuda" and "cuda" in self._random:
                torch.cuda.set_rng_state(self._random["cuda"], self.device)

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        return batch.to(device)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        for group in self.optimizers(use_pl_optimizer=False).param_groups:
            group["lr"], group["weight_decay"] = self.schedule.at(self.step), WEIGHT_DECAY

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        kept = torch.rand(self.lanes, generator=self._forget) > FORGET
        if self.teacher is not None:
            sums = self.teacher.sums(batch, kept)
            batch = replace(batch, sums=sums.numpy() if self.device.type == "cpu" else sums)
        shape = [1, self.lanes] + [1] * (self._state.dim() - 2)
        state = self._state.detach() * kept.view(shape).to(self.device)
        values, state = self.network.trunk(self.network.scaled(batch.powers), state)
        logits = batch.wishes.over(self.network.head.logits, values)
        with torch.autocast(self.device.type, enabled=False):
            loss, sdr = loss_of(logits.float(), batch, self.member)
        self._state, self.after = state.detach().float(), batch.after
        self._note(loss.detach(), sdr[:, : len(STEMS)])
        return loss

    def _note(self, loss: Tensor, sdr: Tensor) -> None:
        self.latest = float(loss)
        self.losses.append(self.latest)
        now = sdr.nanmean(0).cpu()
        self.shown = torch.where(
            now.isnan(), self.shown, torch.where(self.shown.isnan(), now, self.shown.lerp(now, _SMOOTH))
        )

    def configure_gradient_clipping(self, optimizer, gradient_clip_val=None, gradient_clip_algorithm=None) -> None:
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), CLIP)
        # Before anything is changed by it. Gradients are the same in all processes, and so is what is found here;
        # a loss that is no number has a gradient that is none.
        if not torch.isfinite(norm) or (self.trainer.world_size == 1 and not math.isfinite(self.latest)):
            raise NotFinite(f"the loss is not finite at step {self.step}")

    def optimizer_step(self, *arguments, **options) -> None:
        super().optimizer_step(*arguments, **options)
        self.step += 1
        follow(self.average, self.network, self.step)
