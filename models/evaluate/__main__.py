"""Measure separators on music with known stems, through their files and the streaming engine.

    python -m models.evaluate --data STEMS                    the shipped separator, mode low: about two minutes
    python -m models.evaluate --data STEMS --split valid --sdr-only --equal-too --model a.onnx --model b.onnx
    python -m models.evaluate --data STEMS --full --json figures.json --html figures.html
    python -m models.evaluate.card figures.json               its tables in Markdown

Beside the separators: the mixture as the estimate of every stem, the DJ's equaliser with the gains that fit the
train songs best, and the ideal ratio mask. Choose by the split `valid`, and look at `test` when all is chosen.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from models.evaluate.bss import museval_metrics
from models.evaluate.cache import Cache
from models.evaluate.contestant import all_at_hand, contestant, told_apart
from models.evaluate.costs import delay_ms, read_bench
from models.evaluate.evaluation import manners, measure
from models.evaluate.hearing import real_scene, scene
from models.evaluate.plots import matplotlib_figure
from models.evaluate.report import Report, Source, check_writable, command_of, measured_by, text_of
from models.evaluate.rows import DEFAULT_MODE, Row, baseline_rows, separator_rows
from models.evaluate.terminal import console, show
from models.evaluate.tracks import Material, material
from realtime.errors import HostError

DEFAULT_MODEL = "lasaft-live"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m models.evaluate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--data", type=Path, required=True, help="a folder of songs with stems, in any layout of models/data/layout.py")
    add(
        "--model", action="append", metavar="NAME_OR_FILE",
        help=f"separator, or published checkpoint; may be given several times (default: {DEFAULT_MODEL}; with --full, all at hand)",
    )  # fmt: skip
    add(
        "--latency", action="append", metavar="MODE",
        help="latency mode; may be given several times (default: low; with --full, all that the file claims)",
    )  # fmt: skip
    add("--split", default="test", choices=("valid", "test"), help="choose by valid alone (default: test)")
    add("--count", type=int, default=5, help="number of excerpts, or songs (default: the first five)")
    add("--equal-loudness", action="store_true", help="bring the stems of each excerpt to one RMS")
    add("--equal-too", action="store_true", help="measure both ways: as the stems are, and brought to one RMS")
    add("--no-baselines", action="store_true", help="the separators alone (no time for fitting the isolator)")
    add("--song", action="store_true", help="the whole song too, where excerpts are measured")
    add("--museval", action="store_true", help="museval's ISR, SIR and SAR too (slow)")
    add("--sdr-only", action="store_true", help="no behaviour, and no measuring of work")
    add("--full", action="store_true", help="everything: all excerpts, equal loudness, whole song, museval, all modes")
    add(
        "--bench", type=Path, action="append", default=[], metavar="JSON",
        help="take work from what `run_live.py bench --json` wrote; may be given several times (default: measure it)",
    )  # fmt: skip
    add("--seed", type=int, default=0, help="chooses the moments at which the condition is switched (default 0)")
    add("--json", type=Path, metavar="FILE", help="write all figures")
    add("--html", type=Path, metavar="FILE", help="write a page with figures, pictures and sounds")
    add(
        "--mixture", type=Path, action="append", default=[], metavar="FILE",
        help="music without stems, to be heard and seen on the page; may be given several times",
    )  # fmt: skip
    add("--cache", type=Path, metavar="FOLDER", help="keep figures here, and take those already there")
    return parser


def evaluate(options: argparse.Namespace) -> None:
    """Measure and show what `options` ask for. Raises HostError with what is wrong and allowed."""
    if options.count < 1:
        raise HostError(f"--count {options.count}: at least one excerpt is needed")
    if options.mixture and not options.html:
        raise HostError("--mixture is heard on the page: name one with --html")
    for path in options.mixture:
        if not path.is_file():
            raise HostError(f"there is no file {path} to hear; nothing was measured")
    for path in filter(None, (options.json, options.html)):
        check_writable(path)
    if options.html:
        matplotlib_figure()
    music = material(options.data, options.split)
    cache, notes, metrics = Cache(options.cache), [music.skipped] if music.skipped else [], None
    if options.museval or options.full:
        try:
            metrics = museval_metrics()
        except HostError as problem:
            notes.append(str(problem))
    given = {key: value for path in options.bench for key, value in read_bench(path).items()}
    with tempfile.TemporaryDirectory() as workshop:
        if options.model or not options.full:
            found = [contestant(name, Path(workshop)) for name in options.model or [DEFAULT_MODEL]]
        else:
            found, left_out = all_at_hand(Path(workshop))
            notes += left_out
    contestants = told_apart(found)
    rows, unoffered = separator_rows(contestants, options.latency, options.full)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as progress:
        waiting = progress.add_task("fitting the isolator", total=None)
        baselines, unfitted = ([], []) if options.no_baselines else baseline_rows(music.train, cache)
        progress.remove_task(waiting)
        rows += baselines
        selections = music.selections(
            options.count, options.equal_loudness, options.song, options.full, options.equal_too
        )
        behaving = 0 if options.sdr_only else sum(row.key != "ideal" for row in rows)
        steps = sum(len(each.tracks) for each in selections) * len(rows) + behaving
        task = progress.add_task("", total=steps)

        def advance(what: str) -> None:
            progress.update(task, advance=1, description=what)

        figures, skipped = measure(selections, rows, metrics, cache, advance)
        rows = [row for row in rows if row.label in figures[0].rows]
        found_manners, manners_on, failed = {}, (), []
        if not options.sdr_only:
            found_manners, manners_on, failed = manners(rows, selections[0].tracks, given, options.seed, cache, advance)
    notes += [*unoffered, *unfitted, *skipped, *failed]
    if cache.hits:
        notes.append(f"{cache.hits} measurements are from earlier runs, from {options.cache.name}")
    report = Report(
        command=command_of(sys.argv[1:]),
        material=music.name,
        split=options.split,
        seed=options.seed,
        sources=tuple(Source(each.name, each.weights, each.file_hash) for each in contestants),
        rows={row.label: row.contestant.name for row in rows if row.contestant},
        delays={
            row.label: delay_ms(row.contestant.separator.metadata, row.contestant.separator.metadata.modes[row.mode])
            for row in rows
            if row.contestant
        },
        sets=tuple(figures),
        manners=found_manners,
        manners_on=manners_on,
        notes=tuple(notes),
        **measured_by(),
    )
    show(report, console())
    if options.json:
        options.json.write_text(text_of(report.document()), encoding="utf-8")
    if options.html:
        _write_page(options, report, rows, music)


def _write_page(options: argparse.Namespace, report: Report, rows: list[Row], music: Material) -> None:
    from models.evaluate.page import page

    # One latency mode of each separator: modes are compared by figures, and differ less than ears do.
    heard: dict[str, Row] = {}
    for row in rows:
        name = row.contestant.name if row.contestant else row.label
        if name not in heard or row.mode == DEFAULT_MODE:
            heard[name] = row
    ordered = list(heard.values())
    every = {track.name: track for track in (*music.excerpts, *music.songs)}
    first = every[report.first.tracks[0]]
    scenes = [scene(first.name, first.read(), ordered)]
    scenes += [real_scene(path, ordered) for path in options.mixture]
    options.html.write_text(page(report, scenes), encoding="utf-8")


def main() -> int:
    """Run the command line; return its exit status."""
    options = _parser().parse_args()
    try:
        evaluate(options)
    except HostError as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
