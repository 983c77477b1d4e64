"""python -m models.table: what every system costs; with --measure, how long it takes on one core."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from models.systems import SYSTEMS, System, network_of, separator, system
from models.unet import parameters_of
from realtime.errors import HostError
from realtime.metadata import Training

FIGURES = Path(__file__).with_name("systems.json")
"""The costs of all systems, for those who have no torch."""

RANDOM = Training(data="nothing: its parameters are random, so it separates nothing", licence="none needed")


@dataclass(frozen=True)
class Costs:
    """What a system costs: `parameters`; multiply-accumulates per frame and per second of audio, under one
    condition; `frames` per call; `lookahead` in frames and in seconds; `chunk` frames if it runs on chunks."""

    title: str
    source: str
    stems: tuple[str, ...]
    parameters: int
    macs_per_frame: int
    macs_per_second: int
    frames: int
    lookahead: int
    lookahead_seconds: float
    chunk: int


def costs_of(system: System) -> Costs:
    """Return what `system` costs, counted without computing anything."""
    with torch.device("meta"), torch.inference_mode():
        network = network_of(system)
        module = separator(system, network)
        pipeline = system.pipeline
        mixture = torch.zeros(1, 2 * pipeline.channels, module.frames, pipeline.n_fft // 2 + 1)
        rest = (torch.ones(1),) if module.takes_valid else ()
        with FlopCounterMode(display=False) as counter:
            module(mixture, torch.zeros(1, len(pipeline.stems)), *rest, *module.initial_states(1))
    per_frame = counter.get_total_flops() // 2 // module.frames
    return Costs(
        title=system.title,
        source=system.source,
        stems=pipeline.stems,
        parameters=parameters_of(network),
        macs_per_frame=per_frame,
        macs_per_second=round(per_frame * pipeline.rate / pipeline.hop),
        frames=module.frames,
        lookahead=module.lookahead,
        lookahead_seconds=round(module.lookahead * pipeline.hop / pipeline.rate, 3),
        chunk=getattr(module, "chunk", 0),
    )


def milliseconds_of(system: System, calls: int) -> float:
    """Return the median time of a call, in ms, of the exported separator on one core under one condition."""
    from export.exporter import export_separator
    from models.unet import randomised
    from realtime.separator import Separator, flush_denormals

    module = separator(system, randomised(network_of(system)))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{system.name}.onnx"
        export_separator(module, module.metadata(system.name, system.name, RANDOM), path, check=False)
        runner = Separator.load(path).runner(1)
    flush_denormals()
    runner.condition[:] = 0
    runner.condition[0, 0] = 1
    times = []
    for _ in range(calls + 2):
        runner.mixture[:] = torch.randn(runner.mixture.shape).numpy()
        begin = time.perf_counter()
        runner.run()
        times.append(time.perf_counter() - begin)
    return 1e3 * statistics.median(times[2:])


def lines(names: list[str], measure: bool, calls: int) -> Iterator[str]:
    """Yield the table line by line, as it is found."""
    head = f"{'system':<20} {'parameters':>10} {'MMAC/frame':>10} {'GMAC/s':>7} {'call':>5} {'look-ahead':>17}"
    yield head + (f" {'ms/call':>8} {'real-time factor':>16}" if measure else "")
    for name in names:
        wanted = system(name)
        costs = costs_of(wanted)
        ahead = f"{costs.lookahead} ({costs.lookahead_seconds:.2f} s)"
        line = (
            f"{name:<20} {costs.parameters / 1e6:>8.2f} M {costs.macs_per_frame / 1e6:>10.0f} "
            f"{costs.macs_per_second / 1e9:>7.2f} {costs.frames:>5} {ahead:>17}"
        )
        if measure:
            taken = milliseconds_of(wanted, calls)
            period = 1e3 * costs.frames * wanted.pipeline.hop / wanted.pipeline.rate
            line += f" {taken:>8.2f} {taken / period:>16.3f}"
        yield line + ("  in chunks, not exact" if costs.chunk else "")


def main() -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m models.table", description=__doc__)
    parser.add_argument("systems", nargs="*", metavar="SYSTEM", help="those to show (default: all)")
    parser.add_argument("--measure", action="store_true", help="export each with random parameters and time it")
    parser.add_argument("--calls", type=int, default=20, help="calls to take the median of (default 20)")
    parser.add_argument("--write", action="store_true", help="write the costs to models/systems.json")
    options = parser.parse_args()
    torch.manual_seed(0)
    try:
        for line in lines(options.systems or list(SYSTEMS), options.measure, options.calls):
            print(line, flush=True)
    except HostError as error:
        print(error, file=sys.stderr)
        return 1
    if options.write:
        FIGURES.write_text(json.dumps({name: asdict(costs_of(SYSTEMS[name])) for name in SYSTEMS}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
