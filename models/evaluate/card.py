"""The tables of a model card, written from committed figures, so that the two cannot drift apart.

    python -m models.evaluate.card FIGURES.json       print the tables in Markdown
    python -m models.evaluate.card CARD.md            fill the marked places of a card
    python -m models.evaluate.card CARD.md --check    say whether they are up to date, and change nothing

A marked place begins with `<!-- figures FILE -->` or, for those tables alone whose title holds a text,
`<!-- figures FILE: TEXT -->`, and ends with `<!-- end of figures -->`; FILE lies relative to the card.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from models.evaluate.report import Report, read_report
from models.evaluate.tables import Figures, identities, short_tables
from realtime.errors import HostError

_PLACE = re.compile(r"(<!-- figures ([^\n:]+?)(?:: ([^\n]+?))? -->\n).*?(<!-- end of figures -->)", re.DOTALL)


def markdown(report: Report, wanted: str = "") -> str:
    """Return the tables whose title holds `wanted`, and what makes them repeatable. Raises HostError for none."""
    parts = [_table(figures, report) for figures in short_tables(report) if wanted.lower() in figures.title.lower()]
    if not parts:
        raise HostError(
            f"no table has '{wanted}' in its title: there are " + "; ".join(each.title for each in short_tables(report))
        )
    if not wanted:
        parts += ["".join(f"    {line}\n" for line in identities(report))]
    return "\n".join(parts)


def _table(figures: Figures, report: Report) -> str:
    def line(cells: tuple[str, ...]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"

    rows = "".join(line((_label(row[0], report), *row[1:])) for row in figures.rows)
    note = f"\n{figures.note}\n" if figures.note else ""
    title = figures.title[0].upper() + figures.title[1:]
    return f"{title}:\n\n" + line(figures.columns) + line(("---",) * len(figures.columns)) + rows + note


def _label(label: str, report: Report) -> str:
    """Return the label of a row with its latency mode as code, and the delay that it adds."""
    if label not in report.rows:
        return label
    name, mode = label.rsplit(", ", 1)
    return f"{name}, `{mode}` ({report.delays[label]:.1f} ms)"


def filled(card: Path) -> tuple[str, str]:
    """Return the text of `card`, as it is and as its figures want it. Raises HostError where a file is missing."""
    try:
        text = card.read_text(encoding="utf-8")
    except OSError as problem:
        raise HostError(f"card {card} cannot be read ({problem.strerror})") from None
    if not _PLACE.search(text):
        raise HostError(
            f"{card} has no place for figures: mark one with <!-- figures FILE.json --> and <!-- end of figures -->, "
            "each on a line of its own"
        )

    def tables(match: re.Match[str]) -> str:
        return f"{match[1]}\n{markdown(read_report(card.parent / match[2]), match[3] or '')}\n{match[4]}"

    return text, _PLACE.sub(tables, text)


def main() -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m models.evaluate.card", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "file", type=Path, help="figures that models.evaluate --json wrote, or a card (.md) with places for them"
    )
    parser.add_argument("--check", action="store_true", help="change nothing; exit with 1 where a card is out of date")
    options = parser.parse_args()
    try:
        if options.file.suffix != ".md":
            print(markdown(read_report(options.file)), end="")
            return 0
        now, wanted = filled(options.file)
        if now != wanted and options.check:
            raise HostError(f"{options.file} is not what its figures say; run python -m models.evaluate.card on it")
        if now != wanted:
            options.file.write_text(wanted, encoding="utf-8")
    except HostError as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
