"""The live networks and variants of them, trained alike for as many steps, with what each costs: what its shape was chosen by.

    python -m models.search --data STEMS --pool POOL -o docs/figures/search.json
    python -m models.search --measure -o docs/figures/search.json

The second measures the costs, for which the machine must be idle. Started again the first trains only the variants
that the file lacks. Scores are of the training's own quick measure, on validation excerpts and on mixtures made of
what was trained on: too few steps to say how good a variant will be, enough to compare them.
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from export import train_extra
from realtime.errors import HostError
from realtime.separator import Separator, flush_denormals
from realtime.windows import analysis_window

try:
    import torch
    from torch import Tensor, nn

    from export.exporter import export_separator
    from models.architectures import network as build
    from models.bandloss import mask_loss
    from models.card import lasaft_live_metadata
    from models.data.augmentation import Augmentation
    from models.data.corpus import Corpus
    from models.data.layout import STEMS
    from models.data.pool import Pool
    from models.data.remix import Remix
    from models.lasaft_bands import BandsHead, LasaftBands, LasaftBandsConfig
    from models.live_network import LiveNetwork
    from models.train.batches import Batches, Source
    from models.train.module import CLIP, FORGET, follow, optimiser_of
    from models.train.run import measure_features
    from models.train.schedule import Schedule
    from models.train.scores import equally_loud, quick_scores
    from models.train.windows import ANALYSIS, HOP, host_windows
except ImportError:
    raise train_extra() from None

STEPS = 700
LANES, FRAMES, RATE = 4, 64, 1.5e-3
ANNEALED = 0.4
_CALLS = 400
_FAMILIAR = 4


class Memoryless(nn.Module):
    """In place of a recurrence: every frame by itself."""

    def forward(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        return x, state + 0 * x.flatten(-2)[:, -1]


class Convolution(nn.Module):
    """Residual convolution along frequency (TFC of one frame), [batch, frames, groups, width]."""

    def __init__(self, width: int, kernel: int = 5) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.conv = nn.Conv1d(width, width, kernel, padding=kernel // 2)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(self.norm(x).flatten(0, 1).transpose(1, 2)).transpose(1, 2)
        return x + 0.5 * torch.relu(y).unflatten(0, x.shape[:2])


class FilmHead(BandsHead):
    """FiLM: the condition scales and shifts the channels, which do not gate each other."""

    def __init__(self, config: LasaftBandsConfig, groups: int) -> None:
        super().__init__(config, groups)
        self.omega = nn.Linear(config.embedding, config.head_width)

    def modulated(self, x: Tensor, embedding: Tensor) -> Tensor:
        return x * (1 + self.omega(embedding)).unsqueeze(-2) + self.beta(embedding).unsqueeze(-2)


class MappingHead(BandsHead):
    """Tells how strong each band of the stem is, not which share of the mixture it is; no stronger than the mixture."""

    def logits(self, values: Tensor, condition: Tensor) -> Tensor:
        c = self.config
        values, level = values.split((c.head_width, c.channels * c.group), -1)
        level = level[:, :, 0].unflatten(-1, (c.channels, c.group)).transpose(2, 3).flatten(-2)
        gain, turn = super().logits(values, condition).split(1, dim=3)
        # sigmoid(a - b) is exp(a) / exp(b) where that is well below 1, and never above.
        return torch.cat([gain - level[:, :, None, None], turn], dim=3)


class Mapping(LasaftBands):
    """Its head maps. What that must know of the mixture, the logarithm of every band's amplitude, goes beside the values."""

    def trunk(self, features: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        values, after = super().trunk(features, state)
        level = 0.5 * features.unflatten(-1, (3, self.groups, -1))[:, :, : self.config.channels]
        level = level.transpose(2, 3).flatten(-2).unsqueeze(2)
        return torch.cat([values, level.expand(*values.shape[:-1], -1)], -1), after


class PlainHead(BandsHead):
    """Without GPoCM."""

    def modulated(self, x: Tensor, embedding: Tensor) -> Tensor:
        return x


class Nothing(nn.Module):
    """In place of a layer that scales by one plus what it gives: one number, always 0."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x[..., :1])


def _mapping(network: LasaftBands) -> None:
    network.__class__ = Mapping
    network.head = MappingHead(network.config, network.groups)


def _at_attention(network: LasaftBands) -> None:
    network.head = PlainHead(network.config, network.groups)
    network.head.scale = Nothing()


def _at_mask(network: LasaftBands) -> None:
    network.head = PlainHead(network.config, network.groups)


def _film(network: LasaftBands) -> None:
    network.head = FilmHead(network.config, network.groups)


def _memoryless(network: LasaftBands) -> None:
    network.recurrences = nn.ModuleList(Memoryless() for _ in network.recurrences)


def _without_tdf(network: LasaftBands) -> None:
    network.tdfs = nn.ModuleList(nn.Identity() for _ in network.tdfs)


def _convolved(network: LasaftBands) -> None:
    network.tdfs = nn.ModuleList(Convolution(network.config.width) for _ in network.tdfs)


def _unchanged(network: LasaftBands) -> None:
    del network


@dataclass(frozen=True)
class Variant:
    """A network by its configuration, see models/architectures.py, with parts of it changed."""

    title: str
    config: dict = field(default_factory=dict)
    change: Callable[[LiveNetwork], None] = _unchanged

    def network(self) -> LiveNetwork:
        """Return it with random weights."""
        torch.manual_seed(0)
        network = build(self.config)
        self.change(network)
        return network


def _bands(title: str, change: Callable[[LiveNetwork], None] = _unchanged, **config) -> Variant:
    return Variant(title, {"architecture": "lasaft-bands", **config}, change)


VARIANTS = {
    "live": Variant("lasaft-live"),
    "live-wide": Variant("lasaft-live, hidden 448, bottleneck 192", {"hidden": 448, "bottleneck": 192}),
    "bands": _bands("lasaft-bands"),
    "small": _bands("lasaft-bands: width 48, 3 layers, bottleneck 64", width=48, layers=3, bottleneck=64),
    "wide": _bands("lasaft-bands: width 96, 2 layers", width=96, layers=2),
    "memoryless": _bands("lasaft-bands without recurrence along time", _memoryless),
    "no-tdf": _bands("lasaft-bands without TDF, 8 layers", _without_tdf, layers=8),
    "tfc": _bands("lasaft-bands, convolutions along frequency in place of TDF, 6 layers", _convolved, layers=6),
    "film": _bands("lasaft-bands, FiLM in place of GPoCM", _film),
    "one-latent": _bands("lasaft-bands, one latent source: no LaSAFT", latent_sources=1),
    "mapping": _bands("lasaft-bands, mapping in place of a mask", _mapping),
    "at-attention": _bands("lasaft-bands, the condition enters at the latent sources only", _at_attention),
    "at-mask": _bands("lasaft-bands, the condition enters before the mask only", _at_mask, latent_sources=1),
    "coarse": _bands(
        "lasaft-bands, 19 groups of 16 bands, width 112, bottleneck 160", group=16, width=112, bottleneck=160
    ),
    "long": _bands("lasaft-bands, frames of 4096", n_fft=4096, bands=((1, 256), (4, 64), (16, 96))),
}


@dataclass
class Row:
    """What was found of a variant; scores in dB per stem, `ms` of one hop for one and four stems."""

    title: str
    parameters: int
    seconds: float
    equal: list[float]
    natural: list[float]
    familiar: list[float]
    ms: list[float] = field(default_factory=list)
    megabytes: float = 0.0


def trained(variant: Variant, corpus: Corpus, pool: Pool, steps: int, say: Callable[[str], object]) -> Row:
    """Train a variant for `steps`, the last of them annealed, and score it."""
    network = variant.network()
    n_fft = network.config.n_fft

    def remix(seed: int) -> Remix:
        window = analysis_window(ANALYSIS, n_fft)
        return Remix(pool, LANES, FRAMES, HOP, window, seed=seed, augmentation=Augmentation())

    measure_features(network, remix(0))
    average = copy.deepcopy(network)
    schedule = Schedule(RATE, 20000, round(steps * (1 - ANNEALED)), round(steps * ANNEALED))
    optimiser = optimiser_of(network, RATE)
    batches = Batches(Source(remix(1), host_windows(["low"], n_fft), network.bands.edges, False, 1))
    state, random = network.begin(LANES), torch.Generator().manual_seed(0)
    begun = time.monotonic()
    for step, batch in zip(range(steps), batches, strict=False):
        for group in optimiser.param_groups:
            group["lr"] = schedule.at(step)
        state = state.detach() * (torch.rand(1, LANES, 1, generator=random) > FORGET)
        values, state = network.trunk(network.scaled(batch.powers), state)
        loss, _ = mask_loss(batch.wishes.over(network.head.logits, values), batch.sums, batch.powers)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), CLIP)
        optimiser.step()
        follow(average, network, step, most=0.99)
        if step % 100 == 99:
            say(f"{variant.title}: step {step + 1} of {steps}, {time.monotonic() - begun:.0f} s")
    seconds = time.monotonic() - begun
    batches.stop()
    excerpts = corpus.excerpts("valid")
    return Row(
        variant.title,
        sum(p.numel() for p in network.parameters()),
        seconds,
        quick_scores(average, [equally_loud(excerpt) for excerpt in excerpts]),
        quick_scores(average, excerpts),
        _familiar(average, pool),
    )


@torch.no_grad()
def _familiar(network: LiveNetwork, pool: Pool) -> list[float]:
    """Return the mean SDR per stem over mixtures of the same pool that were not trained on."""
    network.eval()
    window = analysis_window(ANALYSIS, network.config.n_fft)
    source = Source(
        Remix(pool, 16, FRAMES, HOP, window, seed=12345),
        host_windows(["low"], network.config.n_fft),
        network.bands.edges,
        False,
        5,
    )
    state, scores = network.begin(16), []
    for _ in range(_FAMILIAR):
        batch = source.next()
        values, state = network.trunk(network.scaled(batch.powers), state)
        logits = network.head.logits(values, batch.wishes.by_frame()[:, :1])
        scores.append(mask_loss(logits, batch.sums, batch.powers)[1][:, : len(STEMS)])
    # The first batch has no past.
    return torch.cat(scores[1:]).nanmean(0).tolist()


def costs(variant: Variant) -> tuple[list[float], float]:
    """Return ms of a hop for one and for four stems, exported, on this thread; and the file's size in MB."""
    flush_denormals()
    taken = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "variant.onnx"
        network = variant.network().eval()
        metadata = lasaft_live_metadata({}, n_fft=network.config.n_fft)
        export_separator(network, metadata, path, int8=True, check=False)
        for stems in (1, len(STEMS)):
            runner = Separator.load(path).runner(stems)
            runner.mixture[:] = np.random.default_rng(0).standard_normal(runner.mixture.shape)
            runner.condition[:] = np.eye(len(STEMS))[:stems]
            times = []
            for _ in range(_CALLS):
                begun = time.perf_counter()
                runner.run()
                times.append(time.perf_counter() - begun)
            taken.append(round(1e3 * float(np.median(times[_CALLS // 4 :])), 3))
        return taken, round(path.stat().st_size / 1e6, 2)


def table(rows: dict[str, Row]) -> str:
    """Return the rows as a table in markdown."""
    lines = [
        "| variant | parameters | MB | ms, one stem | ms, four | validation | equally loud | familiar | trained in |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows.values():
        ms = [f"{value:.2f}" for value in row.ms] or ["", ""]
        scores = [f"{np.mean(values):.2f}" for values in (row.natural, row.equal, row.familiar)]
        cells = [row.title, f"{row.parameters / 1e6:.2f} M", f"{row.megabytes:.1f}", *ms, *scores]
        lines.append("| " + " | ".join([*cells, f"{row.seconds / 60:.1f} min"]) + " |")
    return "\n".join(lines)


def read(path: Path) -> dict[str, Row]:
    """Return the rows of a file, none where there is none. Raises HostError for another kind of file."""
    try:
        return {name: Row(**row) for name, row in json.loads(path.read_text())["rows"].items()} if path.exists() else {}
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise HostError(f"{path} holds no rows of a search ({error}); nothing was changed") from None


def steps_of(path: Path, wanted: int | None = None) -> int:
    """Return the steps that the rows of a file were trained for, `wanted` or STEPS where there is none.

    Raises HostError where others than those are wanted: variants trained for different times can't be compared.
    """
    steps = json.loads(path.read_text())["steps"] if read(path) else wanted or STEPS
    if wanted not in (None, steps):
        raise HostError(f"{path} holds variants trained for {steps} steps; give that number, or another file")
    return steps


def write(path: Path, rows: dict[str, Row], steps: int) -> None:
    """Write the rows in the order of VARIANTS."""
    path.parent.mkdir(parents=True, exist_ok=True)
    ordered = {name: asdict(rows[name]) for name in VARIANTS if name in rows}
    path.write_text(json.dumps({"steps": steps, "seed": 0, "rows": ordered}, indent=1) + "\n")


def main() -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m models.search", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="folder of stems, for validation")
    parser.add_argument("--pool", type=Path, nargs="+", help="rendered pools to train on")
    parser.add_argument("--steps", type=int, help=f"steps of each variant (default the file's, else {STEPS})")
    parser.add_argument("--variants", nargs="+", choices=list(VARIANTS), default=list(VARIANTS), metavar="NAME")
    parser.add_argument(
        "--measure", action="store_true", help="measure what the trained ones cost, instead of training"
    )
    parser.add_argument("-o", "--output", type=Path, default=Path("docs/figures/search.json"), metavar="JSON")
    options = parser.parse_args()
    try:
        rows, steps = read(options.output), steps_of(options.output, options.steps)
        torch.set_num_threads(1)
        if options.measure:
            for name in options.variants:
                if name in rows:
                    try:
                        rows[name].ms, rows[name].megabytes = costs(VARIANTS[name])
                    except RuntimeError as error:  # ONNX Runtime's, of a variant that exports for all stems only
                        print(f"{name} was not measured: {error}", file=sys.stderr)
            write(options.output, rows, steps)
        elif options.data and options.pool:
            torch.set_flush_denormal(True)
            corpus, pool = Corpus(options.data), Pool(options.pool)
            for name in [name for name in options.variants if name not in rows]:
                rows[name] = trained(VARIANTS[name], corpus, pool, steps, lambda text: print(text, flush=True))
                write(options.output, rows, steps)
        print(table(rows))
    except HostError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
