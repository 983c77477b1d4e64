"""Latency, load and misses of a separator on this machine, and what they are to be compared with."""

from realtime.bench.computer import machine
from realtime.bench.suite import Request, bench

__all__ = ["Request", "bench", "machine"]
