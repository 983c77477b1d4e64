"""Train LaSAFT-Live on random remixes. Resumable; stops by itself after --minutes.

    python -m models.train --data STEMS --run runs/first --minutes 60

Truncated back-propagation: every lane's state is carried from batch to batch, and forgotten now and
then. All stems and one random blend are asked for in every pass over the trunk.
"""

from __future__ import annotations

import argparse
import copy
import csv
import queue
import signal
import threading
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from models.bandloss import band_sums, mask_loss
from models.data.augmentation import Augmentation
from models.data.corpus import STEMS, Corpus
from models.data.pool import Pool, pool_folders, render_pool
from models.data.remix import Remix
from models.lasaft_live import LasaftLive, LasaftLiveConfig
from realtime.errors import HostError
from realtime.windows import analysis_window

ANALYSIS = "asymmetric-512"
HOP = 512
WEIGHT_DECAY = 0.02


def conditions_for(lanes: int, generator: torch.Generator) -> Tensor:
    """One-hot for every stem and one random blend a lane: [lanes, stems + 1, stems]."""
    count = len(STEMS)
    blend = torch.rand(lanes, 1, count, generator=generator)
    subset = torch.rand(lanes, 1, count, generator=generator) < 0.5
    switched = torch.rand(lanes, 1, 1, generator=generator) < 0.5
    blend = torch.where(switched, subset.float(), blend * (subset | (blend > 0.7)))
    return torch.cat([torch.eye(count).expand(lanes, count, count), blend], 1)


def forward(
    model: LasaftLive, condition: Tensor, sums: np.ndarray, powers: np.ndarray, state: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return (loss, SDR in dB [lanes, queries], next state) for the band sums of a batch."""
    values, state = model.trunk(model.scaled(powers), state)
    loss, sdr = mask_loss(model.head.logits(values, condition.unsqueeze(1)), sums, powers)
    return loss, sdr, state


class Batches:
    """Prepares the next batch on a thread of its own while the current one trains."""

    def __init__(self, data: Remix, lanes: int, edges: np.ndarray, seed: int) -> None:
        self._queue: queue.Queue = queue.Queue(2)
        self._source = (data, lanes, edges, torch.Generator().manual_seed(seed))
        threading.Thread(target=self._fill, daemon=True).start()

    def _fill(self) -> None:
        data, lanes, edges, generator = self._source
        while True:
            condition = conditions_for(lanes, generator)
            self._queue.put((condition, *band_sums(*data.next(), condition, edges)))

    def get(self) -> tuple[Tensor, np.ndarray, np.ndarray]:
        """Return (condition [lanes, queries, stems], sums, powers)."""
        return self._queue.get()


def load(path: Path) -> LasaftLive:
    """Load the averaged weights of a checkpoint as a network in evaluation mode."""
    document = torch.load(path, map_location="cpu", weights_only=True)
    model = LasaftLive(LasaftLiveConfig(**document["config"]))
    model.load_state_dict(model.state_dict() | {k: v.float() for k, v in document["average"].items()})
    return model.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", type=Path, required=True, help="folder of stems: songs, MUSDB18(-HQ) or the free corpus"
    )
    parser.add_argument(
        "--pool",
        type=Path,
        nargs="+",
        default=[Path("cache/pool")],
        help="where rendered pools lie; the first is made if missing (default cache/pool)",
    )
    parser.add_argument("--run", type=Path, default=Path("runs/lasaft-live"), help="folder of the checkpoint and log")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--lanes", type=int, default=16)
    parser.add_argument("--frames", type=int, default=172)
    parser.add_argument("--rate", type=float, default=1e-3, help="learning rate at its height")
    parser.add_argument(
        "--decay", type=float, default=6000.0, help="steps after which the learning rate has fallen by sqrt(2)"
    )
    parser.add_argument("--anneal", action="store_true", help="let the learning rate fall to nothing over --minutes")
    parser.add_argument(
        "--augment", action="store_true", help="solos, pauses, saturation, loud and quiet mixtures, ..."
    )
    parser.add_argument("--threads", type=int, default=1, help="threads of the network; the data has one of its own")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    corpus = Corpus(options.data)
    if not pool_folders(options.pool[0]):
        render_pool(corpus, options.pool[0])
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    model = LasaftLive()
    average = copy.deepcopy(model)
    optimiser = torch.optim.AdamW(model.parameters(), lr=options.rate, weight_decay=WEIGHT_DECAY, betas=(0.9, 0.98))
    step, spent = 0, 0.0
    checkpoint = options.run / "last.pt"
    options.run.mkdir(parents=True, exist_ok=True)
    if checkpoint.exists():
        document = torch.load(checkpoint, map_location="cpu", weights_only=True)
        model.load_state_dict(model.state_dict() | document["model"])
        average.load_state_dict(model.state_dict() | document["average"])
        optimiser.load_state_dict(document["optimiser"])
        step, spent = document["step"], document["seconds"]
        print(f"resumed at step {step}", flush=True)

    window = analysis_window(ANALYSIS, model.config.n_fft)
    augmentation = Augmentation() if options.augment else None
    pool = Pool(options.pool)
    data = Remix(pool, options.lanes, options.frames, HOP, window, seed=options.seed + step, augmentation=augmentation)
    generator = torch.Generator().manual_seed(options.seed + step)
    if step == 0:
        with torch.no_grad():
            everything = torch.ones(options.lanes, 1, len(STEMS))
            sample = torch.cat(
                [model.scaled(band_sums(*data.next(), everything, model.bands.edges)[1]) for _ in range(4)]
            )
            model.feature_mean.copy_(sample.mean((0, 1)))
            model.feature_scale.copy_(1 / sample.std((0, 1)).clamp(min=0.1))
            average.load_state_dict(model.state_dict())
    batches = Batches(data, options.lanes, model.bands.edges, options.seed + step)
    state = torch.zeros(model.config.layers, options.lanes, model.config.hidden)
    valid = corpus.excerpts("valid")
    begun = saved = time.monotonic()
    shown = torch.zeros(len(STEMS))
    log = csv.writer((options.run / "log.csv").open("a"))
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    while not stop.is_set() and time.monotonic() - begun < options.minutes * 60:
        height = min(1.0, (step + 1) / 200) / (1 + step / options.decay) ** 0.5
        if options.anneal:
            height *= max(0.01, 1 - (time.monotonic() - begun) / (options.minutes * 60))
        for group in optimiser.param_groups:
            group["lr"], group["weight_decay"] = options.rate * height, WEIGHT_DECAY
        state = state.detach() * (torch.rand(1, options.lanes, 1, generator=generator) > 0.08)
        loss, sdr, state = forward(model, *batches.get(), state)
        if not torch.isfinite(loss):
            raise SystemExit(f"the loss is not finite at step {step}; the last good checkpoint is {checkpoint}")
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 2.0)
        optimiser.step()
        step += 1
        keep = min(0.9985, (1 + step) / (10 + step))
        with torch.no_grad():
            for a, p in zip(average.parameters(), model.parameters(), strict=True):
                a.lerp_(p, 1 - keep)
        now = sdr[:, : len(STEMS)].nanmean(0)
        shown = now if step == 1 else torch.where(now.isnan(), shown, shown.lerp(now, 0.02))
        if step % 50 == 0:
            seconds = spent + time.monotonic() - begun
            speed = 50 * options.lanes * options.frames * HOP / 44100 / (seconds - getattr(main, "mark", spent))
            main.mark = seconds
            print(
                f"{step} {seconds / 60:.1f} min  {speed:.0f} s/s  loss {loss.item():.3f}  "
                + " ".join(f"{v:.2f}" for v in shown),
                flush=True,
            )
        if time.monotonic() - saved > 300:
            saved = time.monotonic()
            seconds = spent + saved - begun
            _save(checkpoint, model, average, optimiser, step, seconds)
            scores = quick_scores(average, valid[:6])
            log.writerow([step, f"{seconds:.0f}", *(f"{v:.3f}" for v in scores)])
            print("valid " + " ".join(f"{v:.2f}" for v in scores), flush=True)
    _save(checkpoint, model, average, optimiser, step, spent + time.monotonic() - begun)


def _save(
    path: Path, model: LasaftLive, average: LasaftLive, optimiser: torch.optim.Optimizer, step: int, seconds: float
) -> None:
    document = {
        "config": model.config.to_dict(),
        "model": model.state_dict(),
        "average": average.state_dict(),
        "optimiser": optimiser.state_dict(),
        "step": step,
        "seconds": seconds,
    }
    torch.save(document, path.with_suffix(".tmp"))
    path.with_suffix(".tmp").replace(path)


@torch.no_grad()
def quick_scores(model: LasaftLive, excerpts: list[dict]) -> list[float]:
    """Median SDR per stem of spectra, in dB, for watching a training; published figures come from models.evaluate."""
    window = torch.from_numpy(analysis_window(ANALYSIS, model.config.n_fft)).float()
    model.eval()
    rows = []
    for excerpt in excerpts:
        audio = torch.stack([torch.from_numpy(excerpt[s]).float().T for s in STEMS])
        spectra = torch.view_as_real(torch.fft.rfft(audio.unfold(-1, model.config.n_fft, HOP) * window))[None]
        flat = torch.ones(1, len(STEMS), spectra.shape[-2])
        state = torch.zeros(model.config.layers, 1, model.config.hidden)
        condition = torch.eye(len(STEMS))[None]
        sums, powers = band_sums(spectra, flat, condition, model.bands.edges)
        rows.append(forward(model, condition, sums, powers, state)[1][0])
    return torch.stack(rows).nanmedian(0).values.tolist()


if __name__ == "__main__":
    try:
        main()
    except HostError as error:
        raise SystemExit(str(error)) from None
