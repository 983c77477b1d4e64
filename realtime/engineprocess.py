"""The engine's own process: a session from its start to its end, at the orders of whoever started it (`realtime.remote`)."""

from __future__ import annotations

import os
import queue
import random
import sys
import threading
import time
from contextlib import nullcontext
from dataclasses import replace

from realtime.changes import Changes, Notice
from realtime.comeback import await_device, limited
from realtime.deck.orders import DeckNews, Order, Peaks
from realtime.enginemessages import Automatic, Ended, Found, Lost, Shared, Waiting
from realtime.errors import DeviceError, HostError
from realtime.grants import Grants
from realtime.inserts.insert import Place, SlotNews, Turn
from realtime.interrupts import leave_ends_to_parent
from realtime.memory import lock_memory
from realtime.mix import Mix
from realtime.move import Ask, Go, Release, Retake, Standing
from realtime.plan import Plan, Wish
from realtime.segment import Segment
from realtime.session import Session
from realtime.taps import Taps

# The inference thread asks for the interpreter between any two runs of the network, and another thread of Python
# (which receives mixes, or builds another network) lets go of it only after this many seconds: not the usual 0.005.
SWITCH_INTERVAL = 0.0005

_BEAT = 1 / 30
# Seconds between two looks at the deck's file as a whole, which fills little by little.
_GLANCE = 0.5
# No start of a device takes longer, but for one whose server goes meanwhile.
LONGEST_START = 60.0


def serve(plan: Plan, pipe, name: str, comeback: bool = False, successor: bool = False) -> None:
    """Run `plan` until it is over, telling and hearing all through `pipe`; its sound and counts are in the segment `name`.

    `comeback`: its device is waited for first. `successor`: it takes over from another process, once that has let go.
    """
    # What ends a group reaches all of it; the control process decides when sound ends, and its end is ours.
    leave_ends_to_parent()
    sys.setswitchinterval(SWITCH_INTERVAL)
    try:
        if comeback:
            plan = _await(plan, pipe)
        session = _session(plan, comeback)
        layout = session.stream.taps.layout
        segment = Segment.create(name, layout.size)
        session.stream.use(Taps(layout, segment.buf))
        # Before the sound: to lock what is there takes its time, of which one that takes over has none later.
        memory_refused = lock_memory() if plan.realtime and successor else None
        pipe.send(Shared(layout, session.recording))
        # The answer is that control has the memory, and all its files are open; and where a run stands that is taken over.
        answer = pipe.recv()
        if isinstance(answer, Go):
            session.go_on_from(answer.plan)
        elif plan.realtime:
            memory_refused = lock_memory()
        with limited(LONGEST_START) if comeback else nullcontext():
            session.start(pipe.send)
    except HostError as problem:
        if comeback and isinstance(problem, DeviceError):
            pipe.send(Lost(str(problem).splitlines()[0].rstrip("."), plan))
            return
        pipe.send(Ended(failure=str(problem)))
        return
    if plan.realtime:
        stream = session.stream
        session.note(Grants(None if plan.lockstep else stream.priority, stream.priority_refused, memory_refused))
    pipe.send(session.started)
    stop = threading.Event()
    changes = Changes(session, plan.automatic)
    if isinstance(answer, Go):
        # What was changed of the other run while this one made itself ready.
        changes.automatic = answer.plan.automatic
        wish = replace(Wish.since(plan, answer.plan), inserts=session.plugins.stale)
        if wish != Wish():
            changes.ask(wish)
    # Answers to control go by the one thread that sends.
    answers: queue.SimpleQueue[Standing] = queue.SimpleQueue()

    def standing() -> Plan:
        return replace(session.resumption(), latency=changes.wanted, automatic=changes.automatic)

    def receive() -> None:
        try:
            while (message := pipe.recv()) is not None:
                if isinstance(message, Wish):
                    changes.ask(message)
                elif isinstance(message, Automatic):
                    changes.automatic = message.on
                elif isinstance(message, Place | Turn):
                    session.plugins.order(message)
                    if isinstance(message, Place):
                        changes.ask(Wish(inserts=True))
                elif isinstance(message, Order):
                    if session.deck is not None:
                        session.deck.order(message)
                elif isinstance(message, Ask | Release):
                    if isinstance(message, Release):
                        session.release()
                    answers.put(Standing(standing()))
                elif isinstance(message, Retake):
                    session.retake()
                else:
                    for at, mix in message:
                        session.stream.submit(mix, at)
        except (EOFError, OSError):
            pass  # control is gone, and with it whoever could still stop the sound
        finally:
            # Nor does what heard nothing any more play on.
            stop.set()

    threading.Thread(target=receive, name="mixes", daemon=True).start()
    told: DeckNews | None = None
    glance, shown = 0.0, Peaks(b"")
    slots: tuple[SlotNews, ...] = ()
    # Looks at uneven intervals, so that no device keeps step with it, which would look like longer blocks.
    while not session.over and not stop.wait(random.uniform(0.5, 1.5) * _BEAT):
        changes.beat()
        while not answers.empty():
            pipe.send(answers.get())
        while not changes.told.empty():
            pipe.send(changes.told.get())
        session.plugins.beat()
        while not session.plugins.said.empty():
            pipe.send(Notice(session.plugins.said.get()))
        if (now := session.plugins.news()) != slots:
            for each in now:
                if each not in slots:
                    pipe.send(each)
            slots = now
        if session.deck is not None:
            while not session.deck.said.empty():
                pipe.send(Notice(session.deck.said.get()))
            if (now := session.deck.news()) != told:
                pipe.send(told := now)
            if time.monotonic() >= glance and (seen := session.deck.overview()) != shown:
                pipe.send(shown := seen)
                glance = time.monotonic() + _GLANCE
    if (lost := session.lost) is not None and not stop.is_set():
        # Nothing of the device is closed, because that may hang.
        session.plugins.close()
        pipe.send(Lost(lost, standing()))
        return
    failure = session.failure
    session.stop()
    pipe.send(Ended(failure=failure))


def _session(plan: Plan, comeback: bool) -> Session:
    """Return the session of `plan`; where a device comes back and the deck's file does not, with an empty deck."""
    try:
        return Session(plan)
    except DeviceError:
        raise
    except HostError as problem:
        if not comeback or plan.deck is None or plan.deck.path is None:
            raise
        session = Session(replace(plan, deck=replace(plan.deck, path=None)))
        session.deck.said.put(f"{str(problem).rstrip('.')}. The deck is empty now.")
        return session


def _await(plan: Plan, pipe) -> Plan:
    """Return `plan` with the mix of now, once its device is back."""

    def pause(seconds: float) -> None:
        # Nobody sends anything now; but what is heard may be that control is gone.
        if pipe.poll(seconds):
            pipe.recv()

    plan = await_device(plan, lambda reason: pipe.send(Waiting(reason)), pause=pause)
    pipe.send(Found())
    # What else comes was meant for the run before.
    while not isinstance(mix := pipe.recv(), Mix):
        pass
    return replace(plan, mix=mix)


def main(plan: Plan, pipe, name: str, comeback: bool, successor: bool) -> None:
    """Do what `serve` does, and end the process."""
    try:
        serve(plan, pipe, name, comeback, successor)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        pass
    finally:
        # In vain, unless control was gone before it took the memory.
        Segment.remove(name)
    # PortAudio and its host APIs may hold threads that never end; all that matters is closed.
    os._exit(0)
