"""What a person reads of MIDI: the ports of this machine, and the map."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from realtime.control import controls_for
from realtime.errors import HostError
from realtime.library import list_separators
from realtime.midi.map import default_path, read_map
from realtime.midi.ports import RtPorts, partner


def listing(stems: Sequence[str], path: Path | None = None) -> str:
    """Return the ports, and the map at `path`, or the usual one, for a separator with `stems`. Raises HostError."""
    lines = []
    try:
        ports = RtPorts()
        outputs = ports.outputs()
        for name in ports.inputs():
            shown = partner(name, outputs)
            lines.append(f"{name}  (feedback to {shown})" if shown else f"{name}  (no feedback)")
        ports.reset()
        if not lines:
            lines.append("no MIDI ports: connect a controller; where there is no ALSA sequencer, JACK has to run")
    except HostError as problem:
        lines.append(str(problem))
    where = path or default_path()
    midi_map = read_map(where, controls_for(stems, models=sorted(list_separators())), must=path is not None)
    lines += ["", f"map {where}: {len(midi_map.entries)} entries", *(entry.text for entry in midi_map.entries)]
    return "\n".join(lines + [f"note: {problem}" for problem in midi_map.problems])
