"""The network without the host: its bare calls, on the schedule of the hops, in a process that does nothing else.

What a thread that does nothing misses says little of a machine that takes a core away: the more a hop has to compute, the
likelier that happens in the middle of it. What these calls miss, the machine takes from this much work; what the host misses
beyond, the host adds. They run after the hops they stand beside, not at the same time: both would compete for the cores.
"""

from __future__ import annotations

import gc
import time
from dataclasses import replace

from realtime.bench.child import Child
from realtime.bench.control import Schedule, lateness
from realtime.bench.figures import Figures
from realtime.bench.task import Task
from realtime.memory import lock_memory
from realtime.priority import raise_priority
from realtime.separator import Separator, flush_denormals

_WARM_UP = 100
_NOTICE = 0.2


def _keep_schedule(pipe, task: Task) -> None:
    separator = Separator.load(task.separator)
    mode = separator.metadata.modes[task.mode]
    runner = separator.runner(len(separator.metadata.stems) if task.run == "stems" else 1, interleave=mode.interleave)
    flush_denormals()
    lock_memory()
    raise_priority()
    for _ in range(_WARM_UP):
        runner.run()
    gc.collect()
    gc.freeze()
    pipe.send(True)
    pipe.send(lateness(pipe.recv(), work=runner.run))


def with_bare(figures: Figures, task: Task, schedule: Schedule) -> Figures:
    """Return `figures` with how many calls of the network alone were late on `schedule`, kept anew from now on."""
    with Child(_keep_schedule, task) as child:
        child.receive()
        child.send(replace(schedule, begin=time.monotonic() + _NOTICE))
        late = child.receive()
    return replace(figures, misses_bare=int((late > schedule.reserve).sum()))
