"""The terminal view of a running host: latency, load, misses, stems."""

from __future__ import annotations

import math
import sys
import time

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from realtime.enginemessages import PLAYING, Ended
from realtime.host import Host
from realtime.interrupts import ignore_reminders
from realtime.plan import Started
from realtime.telemetry import Telemetry

_COLOURS = ("bright_magenta", "bright_yellow", "bright_cyan", "bright_green")


def _bar(rms: float, width: int = 28) -> str:
    level = max(0.0, 1 + 20 * math.log10(max(rms, 1e-6)) / 60)
    full = min(width, round(level * width))
    return "█" * full + "·" * (width - full)


def status_line(snapshot: Telemetry) -> str:
    """Return latency, load, work and misses in one line."""
    p50, p99, p999, longest = snapshot.work_ms
    split = snapshot.latency
    return (
        f"added latency {1000 * split.added / snapshot.rate:.1f} ms ({split.added} samples)   load {100 * snapshot.load:.0f} %   "
        f"work p50 {p50:.1f}  p99 {p99:.1f}  p99.9 {p999:.1f}  max {longest:.1f} ms of {snapshot.deadline_ms:.1f}   "
        f"misses {snapshot.misses} of {snapshot.hops} hops"
    )


def choice_lines(started: Started) -> list[str]:
    """Return what each latency mode of the separator would take here, a line each below a heading."""
    lines = ["mode        added      load  work p99.9    SDR of the separator"]
    for choice in started.choices:
        mark = ">" if choice.mode == started.latency_mode else " "
        added = 1000 * choice.latency.added / started.rate
        quality = "-" if choice.quality is None else f"{choice.quality:.1f} dB"
        lines.append(
            f"{mark} {choice.mode:<8} {added:>6.1f} ms {100 * choice.load:>6.0f} %  {1000 * choice.work[1]:>7.2f} ms    {quality}"
        )
    return lines


def _picture(host: Host, snapshot: Telemetry) -> Group:
    started = host.started
    head = Text()
    head.append("LaSAFT Live  ", style="bold")
    head.append(
        f"{started.separator} · {started.latency_mode} · {started.run} · {started.device} · {started.rate} Hz / {started.block}"
    )
    table = Table.grid(padding=(0, 2))
    for index, name in enumerate(started.stems):
        gain = host.state.value(f"/stem/{name}/gain/str")[0]
        marks = "M" if host.state.value(f"/stem/{name}/mute")[0] else " "
        marks += "S" if host.state.value(f"/stem/{name}/solo")[0] else " "
        peak_rms = snapshot.meters.get(name)
        meter = _bar(peak_rms[1]) if peak_rms else "no meters in single"
        table.add_row(
            Text(name, style=f"bold {_COLOURS[index % 4]}"), str(gain), marks, Text(meter, style=_COLOURS[index % 4])
        )
    for name in ("input", "output"):
        table.add_row(name, "", "", _bar(snapshot.meters.get(name, (0, 0))[1]))
    preset = host.state.value("/preset")[0] or "-"
    misses = Text(status_line(snapshot), style="bold red" if snapshot.misses else "bold")
    notice = Text(str(host.state.value("/notice")[0]), style="yellow")
    foot = Text(
        f"preset {preset}   time {snapshot.position / snapshot.rate:.1f} s   OSC {host.server.host}:{host.server.port}   Ctrl-C ends"
    )
    if host.engine.device_state != PLAYING:
        notice = Text(host.engine.device_state.text, style="bold yellow")
    return Group(head, table, misses, notice, foot)


def watch(host: Host) -> Ended:
    """Show `host` until its run is over or the user ends it; return how it ended."""
    console = Console()
    for notice in host.notices:
        console.print(f"note: {notice}", markup=False, soft_wrap=True)
    grants = host.started.grants
    console.print("nothing asked of the system (--no-realtime)" if grants is None else grants.text, markup=False, soft_wrap=True)
    console.print(f"added latency: {host.started.latency_text}", soft_wrap=True)
    if host.query is not None:
        console.print(f"OSCQuery: {host.query.url}", soft_wrap=True)
    for line in choice_lines(host.started):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    try:
        if sys.stdout.isatty():
            _follow_live(host, console)
        else:
            _follow_plain(host)
    except KeyboardInterrupt:
        ignore_reminders()
    return host.stop()


def _follow_live(host: Host, console: Console) -> None:
    with Live(console=console, refresh_per_second=12, transient=True) as live:
        while not host.engine.wait(1 / 12):
            host.tick()
            if (snapshot := host.engine.telemetry()) is not None:
                live.update(_picture(host, snapshot))


def _follow_plain(host: Host) -> None:
    """A line every five seconds and at every change of preset: for pipes and logs."""
    due, shown, said = time.monotonic(), None, ""
    while not host.engine.wait(0.02):
        host.tick()
        preset = host.state.value("/preset")[0]
        if (notice := host.state.value("/notice")[0]) != said:
            said = notice
            print(f"note: {notice}", flush=True)
        snapshot = host.engine.telemetry() if host.engine.device_state == PLAYING else None
        if snapshot is not None and (time.monotonic() >= due or preset != shown):
            due, shown = time.monotonic() + 5, preset
            print(
                f"{snapshot.position / snapshot.rate:6.1f} s  {preset or '-':<14} {status_line(snapshot)}", flush=True
            )
