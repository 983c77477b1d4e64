"""What renders the voices of a play head at a tempo other than 1, and the thread that has it done."""

from __future__ import annotations

import threading
from collections.abc import Callable

from realtime.deck.playhead import PlayHead
from realtime.deck.stretcher import Stretcher
from realtime.deck.voice import Voice
from realtime.errors import HostError

# How long the thread rests where nothing is to be rendered, in seconds.
_REST = 0.002


class Renderer:
    """Renders the voices that `head`, at `rate` Hz, wishes for and plays."""

    def __init__(self, head: PlayHead, rate: int) -> None:
        self._head, self._rate = head, rate
        # Where the last hold on a voice goes, its memory is freed, which the sound must not wait for.
        self._held: list[Voice] = []

    @property
    def idle(self) -> bool:
        """Whether there is nothing to render until the tempo changes."""
        return self._head.tempo == 1 and not self._held

    def step(self) -> bool:
        """Render a hop of each voice that is short of sound; return whether there was any."""
        wish = self._head.wish
        if wish is not None:
            if wish.voice is None:
                stretcher = Stretcher(self._rate, self._head.channels - self._head.marks)
                wish.voice = Voice(stretcher, wish.material, wish.place, wish.loop, wish.fade, self._head.marks)
            # Little beyond that, as it plays at tempo 1 until it is entered.
            wish.voice.left_out = self._head.given - wish.since + 2 * wish.room + wish.voice.hop
        self._held = [voice for voice in self._head.voices() if isinstance(voice, Voice)]
        # All of them, one after the other.
        return any([voice.short and voice.render() for voice in self._held])


class Tempo:
    """Sets the tempo of `head`, at `rate` Hz, and has its voices rendered; `say` hears what goes wrong.

    Raises HostError where the library for it is missing.
    """

    def __init__(self, head: PlayHead, rate: int, say: Callable[[str], object]) -> None:
        # What it is built on must be there before anybody counts on it.
        Stretcher(rate, 1)
        self._head, self._say, self._renderer = head, say, Renderer(head, rate)
        self._closed = False
        self._awake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tempo", daemon=True)
        self._thread.start()

    def set(self, tempo: float) -> None:
        """Play at `tempo` from now on. Raises HostError where that has failed before."""
        if not self._thread.is_alive():
            raise HostError("the deck's tempo has failed, and stays 1 until the host is started again.")
        self._head.tempo = tempo
        self._awake.set()

    def close(self) -> None:
        """End the thread."""
        self._closed = True
        self._awake.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._closed:
            try:
                busy = self._renderer.step()
            except Exception as problem:  # noqa: BLE001 - what plays must not be told to be at another tempo than it is
                self._head.tempo = 1.0
                self._say(f"the deck's tempo failed ({problem}); the tempo is 1.")
                return
            if not busy:
                self._awake.wait(None if self._renderer.idle else _REST)
                self._awake.clear()
