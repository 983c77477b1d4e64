"""The command line of a training."""

from __future__ import annotations

import argparse
import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

import torch

from models.architectures import ARCHITECTURES
from models.card import MODES
from realtime.errors import HostError

_FEWEST_FRAMES = 8
_DESCRIPTION = """Train LaSAFT-Live on random remixes.

    python -m models.train --data STEMS --run runs/first --minutes 60

Started again, it goes on from the last checkpoint of the run's folder, step for step as if it had never stopped.
Ctrl+C or SIGTERM saves and stops; a crash costs at most the time since the last checkpoint."""
_EPILOG = """The run's folder gets last.pt and previous.pt (checkpoints), best.pt (weights with the best mean SDR on
validation excerpts of equally loud stems), log.csv, pictures/, and tensorboard/ where TensorBoard is installed.

On Linux with glibc the command starts itself anew, once, with MALLOC_MMAP_MAX_=0
MALLOC_TRIM_THRESHOLD_=17179869184 MALLOC_ARENA_MAX=1 MALLOC_TOP_PAD_=268435456: twice the speed. What is set
already stays.

Several nodes: start the same command on each with MASTER_ADDR, MASTER_PORT and NODE_RANK set, the pool rendered before."""


@dataclass(frozen=True)
class Options:
    """What a training is asked for; see `--help`."""

    data: Path
    pool: list[Path]
    run: Path
    minutes: float | None
    steps: int | None
    loss: str
    modes: list[str]
    config: dict
    teacher: Path | None
    lanes: int
    frames: int
    rate: float
    decay: float
    anneal: int
    augment: bool
    precision: str
    accelerator: str
    devices: int
    nodes: int
    threads: int
    seed: int
    save_minutes: float
    valid_minutes: float
    picture_minutes: float
    log_every: int


def parse(arguments: list[str] | None = None) -> Options:
    """Return the options on the command line. Raises HostError for values that cannot be."""
    values = vars(_parser().parse_args(arguments))
    if values["minutes"] is None and values["steps"] is None and not values["anneal"]:
        values["minutes"] = 60.0
    values["config"] = _config(values["config"])
    if values["accelerator"] == "auto":
        values["accelerator"] = "gpu" if torch.cuda.is_available() else "cpu"
    options = Options(**values)
    for name in ("lanes", "devices", "nodes", "threads", "log_every", "decay", "rate"):
        if getattr(options, name) <= 0:
            raise HostError(f"--{name.replace('_', '-')} must be above zero; training has not begun")
    if options.teacher is not None and options.loss != "bands":
        raise HostError("--teacher goes with --loss bands; training has not begun")
    if options.frames < _FEWEST_FRAMES:
        raise HostError(f"--frames must be {_FEWEST_FRAMES} at least; training has not begun")
    return options


def _config(given: str | None) -> dict:
    """Return the fields of the network's configuration in JSON, or in a file of JSON."""
    if given is None:
        return {}
    try:
        text = given if given.lstrip().startswith("{") else Path(given).read_text()
        fields = json.loads(text)
        if not isinstance(fields, dict):
            raise ValueError("it is no object")
    except (OSError, ValueError) as error:
        raise HostError(f"--config takes a JSON object or a file of one, and '{given}' is none ({error})") from None
    architecture = fields.get("architecture", "lasaft-live")
    if architecture not in ARCHITECTURES:
        raise HostError(f"--config names the architecture '{architecture}'; there are {', '.join(ARCHITECTURES)}")
    known = ["architecture", *(field.name for field in dataclasses.fields(ARCHITECTURES[architecture][1]))]
    if unknown := sorted(set(fields) - set(known)):
        raise HostError(f"--config names {', '.join(unknown)}; known are {', '.join(known)}")
    return {name: _tuples(value) for name, value in fields.items()}


def _tuples(value):
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m models.train",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument_group("data").add_argument
    add("--data", type=Path, required=True, help="folder of stems: songs, MUSDB18(-HQ) or the free corpus")
    add(
        "--pool",
        type=Path,
        nargs="+",
        default=[Path("cache/pool")],
        help="where rendered pools lie; the first is made if missing (default cache/pool)",
    )
    add("--augment", action="store_true", help="solos, pauses, saturation, loud and quiet mixtures, ...")
    add("--lanes", type=int, default=16, help="pieces of music side by side, a process (default 16)")
    add("--frames", type=int, default=172, help="frames of 512 samples a batch (default 172, two seconds)")
    add("--seed", type=int, default=0)
    add = parser.add_argument_group("how long").add_argument
    add("--run", type=Path, default=Path("runs/lasaft-live"), help="folder of checkpoints, log and pictures")
    add("--minutes", type=float, help="of this start (default 60, unless --steps or --anneal says when to stop)")
    add("--steps", type=int, metavar="STEP", help="stop at this step, counted from the training's beginning")
    add(
        "--anneal",
        type=int,
        default=0,
        metavar="STEPS",
        help="let the learning rate fall to nothing over as many steps from here on, and stop; asked for again, an "
        "annealing that was cut short goes on where it was",
    )
    add = parser.add_argument_group("what is learned").add_argument
    add(
        "--config", metavar="JSON", help="fields of the network's configuration other than its own: an object or a file"
    )
    add(
        "--loss",
        choices=("bands", "windows"),
        default="bands",
        help="bands: errors by bands of the spectrum, the fast one (default); windows: of the waveform and of "
        "compressed spectra in three resolutions, through the host's windows",
    )
    add(
        "--teacher",
        type=Path,
        metavar="CHECKPOINT",
        help="learn what this network makes of the mixtures, its share of the static mask included, not the stems",
    )
    add(
        "--modes",
        nargs="+",
        choices=list(MODES),
        default=list(MODES),
        help=f"latency modes whose windows are drawn from (default {' '.join(MODES)})",
    )
    add("--rate", type=float, default=1e-3, help="learning rate at its height (default 0.001)")
    add("--decay", type=float, default=6000.0, help="steps after which it has fallen by sqrt(2) (default 6000)")
    add = parser.add_argument_group("with what").add_argument
    add("--precision", choices=("32", "bf16"), default="32", help="bf16: matrix products in bfloat16 (default 32)")
    add("--accelerator", choices=("auto", "cpu", "gpu"), default="auto")
    add("--devices", type=int, default=1, help="GPUs, or processes on the CPU, a node (default 1)")
    add("--nodes", type=int, default=1)
    add("--threads", type=int, default=1, help="threads of the network; the data has one of its own (default 1)")
    add = parser.add_argument_group("what is kept").add_argument
    add("--save-minutes", type=float, default=2.0, help="between checkpoints (default 2)")
    add("--valid-minutes", type=float, default=5.0, help="between scores on validation excerpts (default 5)")
    add("--picture-minutes", type=float, default=15.0, help="between pictures of spectrograms; 0: none (default 15)")
    add("--log-every", type=int, default=20, metavar="STEPS", help="between rows of log.csv (default 20)")
    return parser
