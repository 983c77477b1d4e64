"""The bench: every mode and run that is asked for, OSC, and the contest; on the terminal, as JSON, and as a page."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import soundfile
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table as RichTable

from realtime.bench.computer import machine
from realtime.bench.contenders import engine_alone, hs_tasnet, matrix_product, network, ours
from realtime.bench.contest import Entry, Refusal, Result, contest
from realtime.bench.figures import Measured
from realtime.bench.flooded import SPELLS, FloodFigures, measure_flood
from realtime.bench.osc import OscFigures, measure_osc
from realtime.bench.paced import SECONDS, measure_paced
from realtime.bench.page import page, rate_sentence
from realtime.bench.report import Refused, Report
from realtime.bench.table import Table, tables
from realtime.bench.tagged import TagFigures, measure_tags
from realtime.bench.task import Task
from realtime.bench.windowed import STRETCHES as WINDOW_STRETCHES
from realtime.bench.windowed import WindowFigures, measure_window
from realtime.defaults import default_run, mode_name
from realtime.demo import demo_song
from realtime.errors import HostError
from realtime.metadata import Metadata
from realtime.separator import Separator

_LOOP_SECONDS = 8.0
# At most so many, and fewer for a bench of few hops.
MESSAGES, ROUNDS, TURN = 50, 8, 25
# Seconds of a spell with or without a flood, and of a stretch with or without the window, at most.
LONGEST_SPELL, LONGEST_STRETCH = 15.0, 30.0


@dataclass(frozen=True)
class Request:
    """What to measure: `modes` and `runs` None are all that the separator at `path` has, `hops` 0 is a minute of them.

    `block` None is what the host takes by itself, and `reserve` the least of it, in seconds. `bare`: the network is paced
    without the host as well. `peers` are other systems, where they are installed; `window` asks what the window costs.
    `json` and `html` are where to write what was found.
    """

    path: Path
    hops: int = 0
    modes: tuple[str, ...] | None = None
    runs: tuple[str, ...] | None = None
    block: int | None = None
    reserve: float = 0.0
    bare: bool = False
    peers: bool = True
    json: Path | None = None
    html: Path | None = None
    window: bool = False


def bench(request: Request) -> int:
    """Measure what `request` says, print tables of it, and write what is to be written.

    Returns 1 where a mode could not run or a delay is not what is reported; misses are figures, not failures.
    Raises HostError for what makes no bench.
    """
    separator = Separator.load(request.path)
    meta = separator.metadata
    modes, runs = _checked(request, separator)
    for path, option in ((request.json, "--json"), (request.html, "--html")):
        _prepare(path, option)
    console = Console()
    report = _measured(request, meta, modes, runs, console)
    _print(report, console)
    _write(request.json, "--json", lambda: json.dumps(report.document(), indent=1) + "\n", console)
    _write(request.html, "--html", lambda: page(report), console)
    return 0 if report.holds else 1


def _checked(request: Request, separator: Separator) -> tuple[tuple[str, ...], tuple[str, ...]]:
    meta = separator.metadata
    if request.hops < 0:
        raise HostError(f"--hops {request.hops}: a count of hops is 1 or more, or 0 for a minute")
    if request.block is not None and not 32 <= request.block <= 4096:
        raise HostError(
            f"--block {request.block}: a block has 32 to 4096 samples; leave it out for what the host takes"
        )
    modes = tuple(dict.fromkeys(mode_name(separator, name) for name in request.modes or meta.modes))
    runs = tuple(dict.fromkeys(request.runs or meta.runs))
    for run in runs:
        if run not in meta.runs:
            raise HostError(f"separator '{meta.name}' does not run as '{run}'; it runs as {', '.join(meta.runs)}")
    return modes, runs


def _measured(
    request: Request, meta: Metadata, modes: tuple[str, ...], runs: tuple[str, ...], console: Console
) -> Report:
    begun = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    measured: list[Measured] = []
    refused: list[Refused] = []
    rate = meta.sample_rates[0]
    columns = TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn()
    with tempfile.TemporaryDirectory() as folder, Progress(*columns, console=console, transient=True) as progress:

        def shown(title: str, total: int) -> Callable[[int], object]:
            for task in progress.task_ids:
                progress.remove_task(task)
            bar = progress.add_task(title, total=total)
            return lambda done: progress.update(bar, completed=done)

        music = Path(folder) / "music.wav"
        soundfile.write(music, demo_song(_LOOP_SECONDS, rate).mixture, rate, "FLOAT")
        for name in modes:
            hops = request.hops or round(SECONDS * rate / (meta.frames * meta.modes[name].hop))
            for run in runs:
                try:
                    task = Task(request.path, music, name, run, hops, request.block, request.reserve, request.bare)
                    measured.append(measure_paced(task, shown(f"{name} {run}", hops)))
                except HostError as problem:
                    refused.append(Refused(name, run, str(problem)))
        osc, tagged, flood, window, results, notes = _beside(request, meta, measured, shown)
    return Report(meta.name, begun, tuple(measured), tuple(refused), osc, tagged, flood, results, notes, machine(), window)


def _beside(
    request: Request, meta: Metadata, measured: list[Measured], shown: Callable[[str, int], Callable[[int], object]]
) -> tuple[
    OscFigures | None, TagFigures | None, FloodFigures | None, WindowFigures | None, tuple[Result, ...], tuple[str, ...]
]:
    """Measure OSC, flood it, open the window where that is asked for, and hold the contest.

    In the mode and run that the host would start in, if it was measured.
    """
    if not measured:
        return None, None, None, None, (), ()
    wanted = default_run(meta, readable=False)
    rows = [each.figures for each in measured]
    row = min(rows, key=lambda row: (row.mode != "low", row.run != wanted))
    seconds = row.hops * row.hop / meta.sample_rates[0]
    notes: list[str] = []
    osc = tagged = flood = window = None
    messages = max(3, min(MESSAGES, int(3 * seconds)))
    try:
        osc = measure_osc(request.path, row.mode, row.run, request.block, messages, shown("OSC", messages))
    except HostError as problem:
        notes.append(f"OSC: {problem}")
    try:
        tagged = measure_tags(request.path, row.mode, row.run, request.block, messages, shown("OSC with time tags", messages))
    except HostError as problem:
        notes.append(f"OSC with time tags: {problem}")
    spell = min(LONGEST_SPELL, seconds / SPELLS)
    try:
        flood = measure_flood(request.path, row.mode, row.run, request.block, spell, shown("OSC flood", SPELLS))
    except HostError as problem:
        notes.append(f"OSC flood: {problem}")
    if request.window:
        stretch = min(LONGEST_STRETCH, seconds / 2)
        try:
            window = measure_window(request.path, row.mode, row.run, request.block, stretch, shown("the window", WINDOW_STRETCHES))
        except HostError as problem:
            notes.append(f"window: {problem}")
    entries: list[Entry] = [
        (ours, (request.path, row.mode, row.run)),
        (network, (request.path, row.run)),
        (engine_alone, ()),
        (matrix_product, ()),
    ]
    entries += [(hs_tasnet, (False,)), (hs_tasnet, (True,))] if request.peers else []
    turn = max(3, min(TURN, row.hops // 100))
    found = contest(entries, ROUNDS, turn, shown("beside others", ROUNDS))
    notes += dict.fromkeys(each.reason for each in found if isinstance(each, Refusal))
    return osc, tagged, flood, window, tuple(each for each in found if isinstance(each, Result)), tuple(notes)


def _print(report: Report, console: Console) -> None:
    console.print(f"{report.separator} on {report.machine['cpu']}", markup=False)
    for table in tables(report):
        console.print()
        console.print(table.title, style="bold", markup=False)
        console.print(_rich(table))
        console.print(table.note, style="dim", markup=False)
    if (sentence := rate_sentence(report.contest)) is not None:
        console.print(sentence, markup=False)
    for each in report.refused:
        console.print(f"{each.mode} {each.run}: {each.reason}", markup=False)
    for note in report.notes:
        console.print(f"note: {note}", markup=False)


def _rich(table: Table) -> RichTable:
    rich = RichTable(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    for index, title in enumerate(table.head):
        style = "bold red" if index in table.wrong else None
        rich.add_column(title, justify="right" if index else "left", style=style, overflow="fold")
    for cells in table.rows:
        rich.add_row(*cells)
    return rich


def _prepare(path: Path | None, option: str) -> None:
    """Make the folder of `path`, and refuse a place that cannot be written before minutes are spent."""
    if path is None:
        return
    if path.is_dir():
        raise HostError(f"{path} is a folder; choose a file with {option}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise _unwritable(path, option, problem) from None


def _write(path: Path | None, option: str, content: Callable[[], str], console: Console) -> None:
    if path is None:
        return
    try:
        path.write_text(content(), encoding="utf-8")
    except OSError as problem:
        raise _unwritable(path, option, problem) from None
    console.print(f"wrote {path}", soft_wrap=True, markup=False)


def _unwritable(path: Path, option: str, problem: OSError) -> HostError:
    return HostError(f"{path} cannot be written ({problem.strerror}); choose another place with {option}")
