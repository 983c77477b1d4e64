"""python -m export: make and check separator files."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from export import train_extra
from realtime.errors import HostError
from realtime.metadata import Training


def _identity(output: Path):
    try:
        from export.exporter import export_separator
        from models.identity import IDENTITY, Identity
    except ImportError:
        raise train_extra() from None
    return export_separator(Identity(), IDENTITY, output)


def _isolator(output: Path):
    try:
        from export.exporter import export_separator
        from models.isolator import ISOLATOR, Isolator
    except ImportError:
        raise train_extra() from None
    return export_separator(Isolator(), ISOLATOR, output)


def _lasaft_live(arguments: argparse.Namespace):
    try:
        from export.exporter import export_separator
        from models.card import MODES, TRAINING, lasaft_live_metadata
        from models.train import load
    except ImportError:
        raise train_extra() from None
    if (arguments.trained_on is None) != (arguments.licence is None):
        raise HostError(
            "--trained-on and --licence belong together: one says what may be done with the other's weights."
        )
    training = Training(arguments.trained_on, arguments.licence) if arguments.trained_on else TRAINING
    figures = {}
    if arguments.quality is not None:
        rows = json.loads(arguments.quality.read_text())["sdr"]
        figures = {
            label.split(", ")[1]: {stem: round(sdr, 2) for stem, sdr in row.items()}
            for label, row in rows.items()
            if label.startswith(f"{arguments.name}, ")
        }
    modes = arguments.modes or list(MODES)
    if unknown := [mode for mode in modes if mode not in MODES]:
        raise HostError(f"there is no latency mode '{unknown[0]}'; there are {', '.join(MODES)}")
    metadata = lasaft_live_metadata(figures, training, arguments.name, modes=modes)
    return export_separator(load(arguments.checkpoint), metadata, arguments.output, int8=True)


def main() -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m export", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    identity = commands.add_parser("identity", help="export the separator that changes nothing")
    identity.add_argument("-o", "--output", type=Path, required=True, metavar="FILE")
    isolator = commands.add_parser("isolator", help="export the DJ's equaliser isolator: low, mid and high")
    isolator.add_argument("-o", "--output", type=Path, required=True, metavar="FILE")
    live = commands.add_parser(
        "lasaft-live", help="export a checkpoint of LaSAFT-Live, weights rounded to int8"
    )
    live.add_argument("checkpoint", type=Path)
    live.add_argument("-o", "--output", type=Path, required=True, metavar="FILE")
    live.add_argument("--name", default="lasaft-live", help="what the separator calls itself (default lasaft-live)")
    live.add_argument(
        "--modes", nargs="+", metavar="MODE", help="latency modes to offer, those that its cost allows (default: all)"
    )
    live.add_argument("--quality", type=Path, metavar="JSON", help="figures of models.evaluate to put into the file")
    live.add_argument("--trained-on", metavar="TEXT", help="data, if other than that of the shipped weights")
    live.add_argument("--licence", metavar="TEXT", help="what may be done with weights made from that data")
    check = commands.add_parser("verify", help="check a separator file, as far as that goes without its torch module")
    check.add_argument("file", type=Path)
    arguments = parser.parse_args()
    try:
        if arguments.command == "identity":
            path, result = arguments.output, _identity(arguments.output)
        elif arguments.command == "isolator":
            path, result = arguments.output, _isolator(arguments.output)
        elif arguments.command == "lasaft-live":
            path, result = arguments.output, _lasaft_live(arguments)
        else:
            from export.verify import verify

            path, result = arguments.file, verify(arguments.file)
    except HostError as error:
        print(error, file=sys.stderr)
        return 1
    compared = (
        "not compared with torch" if result.error is None else f"differs from torch by {result.error:.1e} of its RMS"
    )
    rounded = "" if result.loss is None else f"; rounding to int8 costs {max(0.0, result.loss):.3f} dB of SDR"
    print(f"{path}: {compared}{rounded}; silence comes out at {result.silence:.1f} dBFS")
    return 0


if __name__ == "__main__":
    sys.exit(main())
