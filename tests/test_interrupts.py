"""Ctrl-C while processes start."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from realtime.interrupts import interrupts_held

pytestmark = pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="the platform has no signal masks")

# Sends itself Ctrl-C while it is not ready, and takes it once it is.
PROGRAM = """
import os, signal
os.kill(os.getpid(), signal.SIGINT)
from realtime.interrupts import let_interrupts_in
print("whole", flush=True)
signal.signal(signal.SIGINT, lambda *_: print("heard", flush=True))
let_interrupts_in()
"""


def test_a_process_that_starts_hears_ctrl_c_once_it_is_ready():
    with interrupts_held():
        process = subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    said, complained = process.communicate(timeout=60)
    assert said.split() == ["whole", "heard"]
    assert complained == ""


@pytest.fixture
def hears_ctrl_c():
    """A process that was started in the background may have been told to ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_that_came_meanwhile_is_heard_here_afterwards(hears_ctrl_c):
    with pytest.raises(KeyboardInterrupt), interrupts_held():
        signal.raise_signal(signal.SIGINT)
        held = True
    assert held
