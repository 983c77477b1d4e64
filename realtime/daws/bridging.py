"""The command line of the bridges to DAWs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from realtime.daws.strips import Bridge, Dialect, Line, Peer
from realtime.errors import HostError


def bridge(
    dialect: Dialect, description: str, there: Peer, listen: int | None, arguments: Sequence[str] | None = None
) -> int:
    """Carry messages between a host and a DAW until Ctrl-C; return the exit status.

    `there` is where the DAW listens unless told otherwise; `listen` is the port that it sends to, None where it
    answers the sender.
    """
    daw = dialect.name.lower()
    parser = argparse.ArgumentParser(prog=f"python -m realtime.daws.{daw}", description=description)
    parser.add_argument("--host", default="127.0.0.1:9000", metavar="ADDRESS:PORT", help="the host (default: %(default)s)")
    parser.add_argument(
        f"--{daw}", dest="daw", default=f"{there[0]}:{there[1]}", metavar="ADDRESS:PORT",
        help=f"where {dialect.name} listens (default: %(default)s)",
    )
    if listen is not None:
        parser.add_argument(
            "--listen", type=int, default=listen, metavar="PORT", help=f"port that {dialect.name} sends to (default: {listen})"
        )
    options = parser.parse_args(arguments)
    try:
        lines = Line(_peer(options.host)), Line(_peer(options.daw), options.listen if listen is not None else 0)
    except HostError as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 1
    try:
        Bridge(*lines, dialect, lambda text: print(text, flush=True)).run()
    except KeyboardInterrupt:
        return 0
    return 0


def _peer(text: str) -> Peer:
    address, _, port = text.rpartition(":")
    if not address or not port.isdecimal() or not 0 < int(port) < 65536:
        raise HostError(f"{text!r} is no address and port; write it as 127.0.0.1:9000")
    return address, int(port)
