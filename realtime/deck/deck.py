"""A deck: a file that is loaded, played, looped and jumped in; decoded ahead by a thread of its own."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np

from realtime.deck.cache import SEGMENT, Damaged, Entry
from realtime.deck.material import CHUNK, Material
from realtime.deck.orders import CUES, FASTEST, SLOWEST, DeckNews, Order, Peaks, Setup
from realtime.deck.overview import Overview
from realtime.deck.playhead import Jump, Loop, Looped, Play, PlayHead, Put, Wrap
from realtime.deck.shelf import Shelf
from realtime.deck.tempo import Tempo
from realtime.errors import HostError
from realtime.stemring import StemRing

# Seconds decoded ahead of the play head, kept behind it, and kept from each hot cue and the loop's start on.
AHEAD, BEHIND, KEPT = 20.0, 2.0, 3.0
SHORTEST_LOOP = 64
MOST_WAITING = 64
# How long the decoder rests where nothing is to be done, in seconds, and how long the start of a file is waited for.
_REST, _PATIENCE = 0.02, 10.0


class Deck:
    """A source of `channels` channels at `rate` Hz that never ends; it begins as `setup` says.

    `read` is for the device, `order` for any thread, `said` holds sentences for the user. `heard` returns which sample of
    the stream is heard now; without it, the last one given. Raises HostError where the file of `setup` cannot be played.

    With a number of `stems` their sound goes the same way as the mixture, as far as there is any, and into `ring`.
    """

    def __init__(self, rate: int, channels: int, setup: Setup, stems: int = 0) -> None:
        self.rate, self.channels = rate, channels
        self.ring: StemRing | None = None
        self._columns = stems * channels
        self.said: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.heard: Callable[[], int] = lambda: self.head.given
        self.head = head = PlayHead(channels + self._columns + bool(stems), marks=int(bool(stems)))
        self._cues: tuple[int | None, ...] = tuple(None if at is None else round(at * rate) for at in setup.cues)
        self._set_fade(setup.fade)
        self._orders: queue.SimpleQueue[Order | None] = queue.SimpleQueue()
        self._loading = False
        # Why nothing is decoded or loaded any more, or None.
        self._fault: str | None = None
        # The loop of what was loaded last, which may not be on yet.
        self._looped = Looped()
        self._material: Material | None = None
        self._overview: Overview | None = None
        self._tempo: Tempo | None = None
        self._refused = 0
        if setup.path is not None:
            material = Material(setup.path, rate, channels)
            start, end = (round(at * rate) for at in setup.loop)
            self._put(material, min(round(setup.at * rate), material.frames), Loop(start, end, setup.looping))
            head.moves.append(Play(setup.playing))
            # Now: what is read before the sound begins must know whether it plays.
            head.obey()
        # What goes wrong with it is no reason not to play.
        self._orders.put(Order("/deck/tempo", (setup.tempo,)))
        self._thread = threading.Thread(target=self._run, name="deck", daemon=True)
        self._thread.start()

    def read(self, count: int) -> np.ndarray:
        """Return the next samples, float32 [count, channels]; it neither waits nor decodes."""
        rows = self.head.read(count)
        if not self._columns:
            return rows
        if self.ring is not None:
            self.ring.write(rows[:, self.channels :])
        return np.ascontiguousarray(rows[:, : self.channels])

    def read_surely(self, count: int) -> np.ndarray:
        """Return the next samples as `read` does, once they have been decoded."""
        self.wait_for(count)
        return self.read(count)

    def wait_for(self, count: int) -> None:
        """Wait until the next `count` samples have been decoded: for what is read before the sound begins."""
        due = time.monotonic() + _PATIENCE
        while not self.head.ready(count) and time.monotonic() < due:
            time.sleep(0.001)

    def order(self, order: Order) -> None:
        """Have `order` carried out, after those that came before."""
        self._orders.put(order)

    def close(self) -> None:
        """End the decoder's thread."""
        self._orders.put(None)
        self._thread.join()
        if self._tempo is not None:
            self._tempo.close()

    # What it says of itself.

    def news(self) -> DeckNews:
        """Return how it stands now."""
        # Before the rest, which then is no older than the order that was refused.
        refused = self._refused
        material, head, loop = self._material, self.head, self._looped.loop
        return DeckNews(
            state=self._state(),
            title="" if material is None else material.title,
            playing=head.playing,
            position=self._place() / self.rate,
            duration=0.0 if material is None else material.frames / self.rate,
            loop=(loop.start / self.rate, loop.end / self.rate),
            looping=loop.on,
            cues=tuple(None if at is None else at / self.rate for at in self._cues),
            fade=1000 * head.fade / self.rate,
            path="" if material is None else str(material.path),
            contents="" if material is None else material.contents,
            stems="" if material is None or material.stems is None else str(material.stems.entry.folder),
            rate=self.rate,
            tempo=head.tempo,
            refused=refused,
        )

    def overview(self) -> Peaks:
        """Return the peaks of the file from start to end, as far as they have been found: see `realtime.deck.overview`."""
        return Peaks(b"") if self._overview is None else Peaks(self._overview.columns, self._overview.fine)

    def setup(self) -> Setup:
        """Return what is on it now, for one that goes on from here."""
        if self._material is None:
            return Setup(fade=self.news().fade, tempo=self.head.tempo)
        news = self.news()
        return Setup(
            str(self._material.path), news.position, news.playing, news.loop, news.looping, news.cues, news.fade, news.tempo
        )

    def _state(self) -> str:
        if self._loading:
            return "loading"
        if self._fault is not None:
            return f"failed: {self._fault}"
        if self._material is None:
            return "empty"
        if self.head.stuck:
            return f"failed: {self.head.stuck}"
        if self.head.playing:
            return "playing"
        return "ended" if self.head.ended else "paused"

    def _place(self) -> int:
        """Return the sample of the file that is heard now."""
        return self.head.place(self.heard())

    # The decoder's thread.

    def _run(self) -> None:
        idle = False
        while True:
            try:
                order = self._orders.get(timeout=_REST) if idle else self._orders.get_nowait()
            except queue.Empty:
                idle = not self._work()
                continue
            if order is None:
                if self._overview is not None:
                    self._overview.close()
                return
            try:
                self._carry_out(order)
            except (HostError, RuntimeError, OSError, ValueError) as problem:
                self._refused += 1
                self.said.put(str(problem))
            except Exception as fault:  # noqa: BLE001 - this thread loads the next file
                self._fail(fault)
            idle = False

    def _work(self) -> bool:
        """Decode, or look through the file; return whether there was anything to decode."""
        if self._fault is not None:
            return False
        try:
            busy = self._decode_one()
            # What is played comes first.
            if not busy and self._overview is not None:
                self._overview.step()
        except Exception as fault:  # noqa: BLE001 - this thread loads the next file
            self._fail(fault)
            return False
        return busy

    def _fail(self, fault: Exception) -> None:
        """Stand still after what was not foreseen, until a file is loaded."""
        self._fault = self.head.stuck = f"the deck has a fault ({fault!r})"
        self.said.put(f"{self._fault}: what has been decoded plays on, and /deck/load puts a file on it anew.")

    def _carry_out(self, order: Order) -> None:
        match order.address.split("/")[2:], order.values:
            case ["load"], [path]:
                self._load(str(path))
            case ["load"], _:
                raise HostError("/deck/load takes the path of a file; nothing was loaded.")
            case ["fade"], [milliseconds]:
                self._set_fade(milliseconds)
            case ["hq", "stems"], [contents, folder]:
                self._use_stems(contents, folder)
            case ["tempo"], [tempo]:
                self._set_tempo(tempo)
            case _ if len(self.head.moves) > MOST_WAITING:
                raise HostError(f"the sound stands still, and {len(self.head.moves)} orders wait for it already.")
            case _ if self._material is None:
                raise HostError(f"the deck is empty, and {order.address} has nothing to act on; /deck/load a file first.")
            case ["play"], [on]:
                self.head.moves.append(Play(bool(on)))
            case ["seek"], [seconds]:
                self._jump(round(seconds * self.rate))
            case ["seek", "samples"], [sample]:
                self._jump(int(sample))
            case ["loop"], [start, end]:
                self._set_loop(round(start * self.rate), round(end * self.rate), True)
            case ["loop", "samples"], [start, end]:
                self._set_loop(int(start), int(end), True)
            case ["loop", "in"], _:
                self._looped.loop = replace(self._looped.loop, start=self._place(), on=False)
            case ["loop", "out"], _:
                self._close_loop()
            case ["loop", "on"], [on]:
                loop = self._looped.loop
                self._set_loop(loop.start, loop.end, bool(on))
            case ["cue", number], _:
                self._jump_to_cue(int(number))
            case ["cue", number, "clear"], _:
                self._set_cue(int(number), None)
            case ["cue", number, "set"], values:
                at = round(values[0] * self.rate) if values and values[0] is not None else self._place()
                self._check(at)
                self._set_cue(int(number), at)

    def _set_cue(self, number: int, at: int | None) -> None:
        self._cues = (*self._cues[: number - 1], at, *self._cues[number:])

    def _load(self, path: str) -> None:
        self._loading = True
        try:
            material = Material(path, self.rate, self.channels)
            self._cues = (None,) * CUES
            self._put(material, 0, Loop())
        finally:
            self._loading = False

    def _put(self, material: Material, at: int, loop: Loop) -> None:
        first = min(at, material.frames - 1) // CHUNK
        for index in range(first, min(first + 2, _chunks(material))):
            material.decode(index)
        before, self._material = self._material, material
        if self._overview is not None:
            self._overview.close()
        self._overview = Overview(material)
        self.head.stuck = self._fault = None
        self._looped = Looped(loop)
        self.head.moves.append(Put(material, at, self._looped))
        if before is not None:
            before.close()

    def _check(self, sample: int) -> None:
        if not 0 <= sample <= self._material.frames:
            raise HostError(
                f"{self._material.title} lasts {self._material.frames / self.rate:.3f} s ({self._material.frames} samples), "
                f"and there is no {sample / self.rate:.3f} s ({sample}) in it; the deck goes on."
            )

    def _jump(self, to: int) -> None:
        self._check(to)
        self.head.moves.append(Jump(to))

    def _jump_to_cue(self, number: int) -> None:
        at = self._cues[number - 1]
        if at is None:
            raise HostError(f"hot cue {number} is not set; set it with /deck/cue/{number}/set.")
        self.head.moves.extend((Jump(at), Play(True)))

    def _set_loop(self, start: int, end: int, on: bool) -> None:
        if on:
            self._check(end)
            if not 0 <= start <= end - SHORTEST_LOOP:
                raise HostError(
                    f"a loop begins at 0 or later and ends {SHORTEST_LOOP} samples or more after that, "
                    f"not from {start} to {end}; the deck goes on."
                )
        self._looped.loop = Loop(start, end, on)

    def _close_loop(self) -> None:
        """End the loop at what is heard, and let what is given be in it, as if it had gone round already."""
        start, end = self._looped.loop.start, self._place()
        self._set_loop(start, end, True)
        self.head.moves.append(Wrap())

    def _set_fade(self, milliseconds: float) -> None:
        self.head.fade = round(milliseconds * self.rate / 1000)

    def _use_stems(self, contents: str, folder: str) -> None:
        """Have the stems in `folder` for the file with these `contents`, if that is on the deck still; none where it is empty."""
        material = self._material
        if self._columns and material is not None and material.contents == contents:
            material.stems = Shelf(Entry(Path(folder)), self._columns) if folder else None

    def _set_tempo(self, tempo: float) -> None:
        if not SLOWEST <= tempo <= FASTEST:
            raise HostError(f"a tempo is {SLOWEST:g} to {FASTEST:g} times the file's own, not {tempo:g}; it stays as it was.")
        if self._tempo is None and tempo != 1:
            self._tempo = Tempo(self.head, self.rate, self.said.put)
        if self._tempo is not None:
            self._tempo.set(tempo)

    def _decode_one(self) -> bool:
        """Decode what is wanted most, then take its stems; return whether there was any."""
        material, head = self._material, self.head
        if material is None:
            return False
        wanted = list(dict.fromkeys(self._wanted(material)))
        missing = next((index for index in wanted if index not in material.chunks), None)
        material.forget({*wanted, *self._span(material, self._here() - round(BEHIND * self.rate), BEHIND)})
        if missing is None or head.stuck:
            return self._take_stems(material, wanted)
        try:
            material.decode(missing)
        except (HostError, RuntimeError, OSError, ValueError) as problem:
            head.stuck = str(problem).rstrip(".")
            self.said.put(f"{problem} What has been decoded plays on; then the deck is silent until it is loaded anew.")
        while material.notices:
            self.said.put(material.notices.pop(0))
        return True

    def _take_stems(self, material: Material, wanted: list[int]) -> bool:
        stems = material.stems
        if stems is None:
            return False
        wanted = [*self._span(material, self._here() - round(BEHIND * self.rate), BEHIND), *wanted]
        try:
            return stems.take(dict.fromkeys(chunk * CHUNK // SEGMENT for chunk in wanted))
        except Damaged as problem:
            self.said.put(str(problem))
            return True

    def _here(self) -> int:
        """Return where the play head is, or will be once it has the new file."""
        head = self.head
        waiting = [move.at for move in head.moves.copy() if isinstance(move, Put)]
        return waiting[-1] if waiting else head.position

    def _wanted(self, material: Material) -> Iterator[int]:
        """Yield the chunks that are to be kept, those needed first at the front."""
        head, loop, fade = self.head, self._looped.loop, self.head.fade
        here = self._here()
        yield from self._span(material, here, 0.5)
        jumps = [move.to for move in head.moves.copy() if isinstance(move, Jump)]
        for place in chain([head.target] if head.target is not None else [], jumps):
            yield from self._span(material, place - fade, KEPT)
        yield from self._span(material, here, 4.0)
        if loop.end:
            yield from self._span(material, loop.start - fade, KEPT)
        for cue in self._cues:
            if cue is not None:
                yield from self._span(material, cue - fade, KEPT)
        yield from self._span(material, 0, 0.5)
        yield from self._span(material, here, AHEAD)

    def _span(self, material: Material, start: int, seconds: float) -> range:
        first = max(0, min(start, material.frames - 1)) // CHUNK
        last = max(0, min(start + round(seconds * self.rate), material.frames - 1)) // CHUNK
        return range(first, last + 1)


def _chunks(material: Material) -> int:
    return -(-material.frames // CHUNK)
