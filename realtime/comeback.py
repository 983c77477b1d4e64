"""Waiting for a sound device that has gone to be there again.

Done in a process that has never had the device open: PortAudio sees what has come only when it is
started anew, and one that was connected to a server waits for ever when it is to end without it.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from realtime.devices.portaudio import PortAudioDevice, look_again
from realtime.errors import DeviceError
from realtime.plan import Plan

POLL = 1.0
# A look takes milliseconds; a server that goes just then may make one last for ever.
LONGEST_LOOK = 20.0


def find_device(plan: Plan) -> Plan:
    """Return `plan` if its device is there, at its own rate where it refuses the planned one. Raises DeviceError."""
    try:
        PortAudioDevice(plan.device, plan.rate, plan.block, plan.lines)
    except DeviceError:
        if plan.rate is None:
            raise
        plan = replace(plan, rate=None)
        PortAudioDevice(plan.device, plan.rate, plan.block, plan.lines)
    return plan


def await_device(
    plan: Plan,
    say: Callable[[str], object],
    find: Callable[[Plan], Plan] = find_device,
    look: Callable[[], object] = look_again,
    pause: Callable[[float], object] = time.sleep,
) -> Plan:
    """Return what `find` makes of `plan` as soon as it does not raise DeviceError, asking about once a second.

    `say` hears the reason when it is another than at first.
    """
    known = None
    while True:
        try:
            with limited(LONGEST_LOOK):
                return find(plan)
        except DeviceError as problem:
            reason = str(problem).splitlines()[0]
        if known not in (None, reason):
            say(reason)
        known = reason
        pause(POLL)
        with limited(LONGEST_LOOK):
            look()


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """End this process, with status 1, if what is done within takes longer: nothing else ends a call that hangs."""
    timer = threading.Timer(seconds, os._exit, (1,))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
