"""One live run: separator, engine, stream and device, chosen from a plain description.

Runs in a process of its own (`realtime.engineprocess`), so that neither control nor a window can take the
interpreter from the inference thread.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

import numpy as np

from realtime import providers
from realtime.cautions import lookahead_cautions, tight
from realtime.chain import chain_for
from realtime.choice import Choice
from realtime.deck.deck import Deck
from realtime.defaults import default_run, mode_name, with_routes
from realtime.demo import demo_song
from realtime.devices.fed import Fed
from realtime.devices.file import FileSource, endless, reader
from realtime.devices.null import NullDevice
from realtime.devices.portaudio import PortAudioDevice
from realtime.engine import Engine, full_mix
from realtime.errors import DeviceError, HostError
from realtime.fft import compile_aside
from realtime.grants import Grants
from realtime.inserts import plugins
from realtime.inserts.plugins import Keepers, Plugins
from realtime.latency import Mode, reserve_for
from realtime.measurement import measure_work
from realtime.mix import Mix
from realtime.outputs import WIDTH
from realtime.plan import Plan, Started, Wish
from realtime.priority import PRIORITY
from realtime.probe import Probe
from realtime.separator import Separator
from realtime.stream import Stream
from realtime.successor import Successor, successor
from realtime.tape import Recording
from realtime.taps import RECORDED, Taps, capacity_for

# Where the device chooses its blocks and varies them, they are taken to be no longer than this.
VARYING_BLOCK = 1024

# A silence before the sound that lasts longer is explained, in seconds.
PATIENCE = 1.0

# Hops that are measured of the mode that is asked for, and of others that may be.
LOOK, GLANCE = 150, 50

# How long another chain may wait for the sound to be late enough for it, in seconds.
HAND_OVER = 10.0


def _listed(rates: tuple[int, ...]) -> str:
    return " or ".join(str(rate) for rate in rates)


class Wire(Protocol):
    """What is fed to the null device in place of a source, without end, and what hears it in place of a file."""

    def read(self, count: int) -> np.ndarray:
        """Return the next samples, float32 [count, channels]."""

    def write(self, block: np.ndarray) -> None:
        """Take what comes out, float32 [n, channels]; copy what is kept."""


class Session:
    """Builds what `plan` says; `start`, then `wait` or `stop`. Raises HostError with what is wrong and allowed.

    With a `wire` the null device is put to the test.
    """

    def __init__(self, plan: Plan, wire: Wire | None = None) -> None:
        self.separator = separator = Separator.load(plan.separator, providers.in_turn(plan.provider))
        self.plan = plan = with_routes(plan, separator.metadata)
        self._wire = wire
        self._works = dict(plan.works)
        self._choices: dict[tuple, Choice] = {}
        self._changing = False
        self._lost: str | None = None
        meta = separator.metadata
        name = mode_name(separator, plan.latency)
        mode = separator.metadata.modes[name]
        block = plan.block or (min(512, mode.hop) if plan.block is None else VARYING_BLOCK)
        notices: list[str] = []
        device = self._portaudio(plan, block, notices)
        readable = device is None or bool(plan.source or plan.deck)
        run = plan.run or default_run(meta, readable, plan.mix.routes)
        source_rate = plan.rate or meta.sample_rates[0]
        rate = device.rate if device else source_rate
        if plan.lockstep and (device is None or plan.source or plan.deck):
            raise HostError("lockstep needs a sound device and its own input; files are separated with `separate`")
        if device is not None and (plan.record or plan.stems):
            raise HostError("recording needs the null device: add --device null, or leave out --record and --stems")
        # Before the deck, which is as wide.
        self._prepared = len(meta.stems) if plan.deck is not None and plan.prepared else 0
        engine_rate = rate if rate in meta.sample_rates else meta.sample_rates[0]
        if plan.stems and rate != engine_rate:
            raise HostError(
                f"the stems of a live run can be written at {_listed(meta.sample_rates)} Hz, not {rate}; choose with --rate"
            )
        if plan.deck and plan.stems:
            raise HostError("a deck has no end, and its stems none: leave out --stems, or play the file with --input")
        self._frames: int | None = None
        self._endless = False
        self.deck: Deck | None = None
        if plan.probe is not None:
            self._wire = Probe(plan.probe, rate, lambda: self.stream.latency.inside)
        if self._wire is not None:
            read, channels = self._wire.read, plan.channels
        else:
            read, channels = self._source(plan, rate, device is None, notices)
        if self._frames is not None:
            self._leave_out(read, round(plan.begin * rate))
        if plan.outputs and channels != WIDTH:
            read, channels = _spread(read, WIDTH), WIDTH
        # What the engine has; the device may have more.
        self._width = WIDTH if plan.outputs else channels if device is None else device.out_channels
        if device is None:
            device = self._null(read, rate, block, channels)
        elif read is not None:
            read = _spread(read, self._width)
            device = Fed(device, read, self._width)
        self.device, self._block, self._engine_rate, self._read = device, block, engine_rate, read
        self.plugins = Plugins(plan.inserts, PRIORITY if plan.realtime else None)
        keepers = self._keepers(separator, mode, run)
        try:
            self._build(separator, name, run, rate, keepers, notices)
        except BaseException:
            plugins.close(keepers)
            raise

    def _build(
        self, separator: Separator, name: str, run: str, rate: int, keepers: Keepers, notices: list[str]
    ) -> None:
        plan, device, block, engine_rate = self.plan, self.device, self._block, self._engine_rate
        meta, mode = separator.metadata, separator.metadata.modes[name]
        engine = self._engine(separator, mode, run, plan.mix, keepers)
        engine.warm_up()
        if fallen := providers.fallback(plan.provider, engine.providers):
            notices.append(fallen)
        chain = chain_for(engine, rate)
        choice = self._delayed(self._choice(separator, name, run), separator, run, keepers)
        notices += tight(separator, choice, run)
        latency = choice.latency
        if self._frames is not None:
            engine.ends_at = math.ceil(self._frames * engine_rate / rate)
        if engine.lookahead and (self._frames is not None or self.deck is not None or self._endless):
            latency = latency.reading_ahead(device.block)
        notices += lookahead_cautions(meta, latency, rate, run)
        if self.deck is not None and latency.read_ahead:
            late = latency.read_ahead / rate
            notices.append(f"{meta.name} looks ahead: what the deck is told is heard {late:.1f} s later.")
        self.stream = Stream(chain, latency, rate, block, (device.in_channels, device.out_channels))
        self.stream.priority = PRIORITY if plan.realtime else None
        if self.deck is not None:
            self.deck.heard = self.stream.bridge.played
            self.deck.ring = self.stream.stems
        if self.stream.bridge.notice:
            notices.append(self.stream.bridge.notice)
        if engine.rack is not None:
            engine.rack.wait_for(math.inf if plan.lockstep else 0.0)
        self.plugins.take_over(keepers, engine.rack)
        # What to record, by whoever reads the stream's taps; None for nothing.
        self.recording: Recording | None = None
        # A recording may begin at any time.
        capacity = capacity_for(RECORDED, max(rate, engine_rate), engine.step)
        layout = replace(self.stream.taps.layout, capacity=capacity)
        if plan.record:
            layout = replace(layout, heard=device.out_channels, heard_capacity=capacity_for(RECORDED, rate, block))
        self.stream.use(Taps(layout))
        if plan.record or plan.stems:
            names = engine.names if run == "stems" else ("master",)
            self.recording = Recording(plan.record, rate, plan.stems, engine_rate, names, self._frames)
        self.started = Started(
            separator=meta.name,
            stems=tuple(meta.stems),
            latency_mode=name,
            run=run,
            device=device.name,
            rate=rate,
            block=block,
            latency=latency,
            device_latency=(device.input_latency, device.output_latency),
            hop=chain.hop,
            work_ms=(1000 * choice.work[0], 1000 * choice.work[1]),
            notices=tuple(notices),
            choices=tuple(
                choice if each == name else self._delayed(self._choice(separator, each, run, GLANCE), separator, run, keepers)
                for each in meta.modes
            ),
            engine_rate=engine_rate,
        )

    def _hear(self, block: np.ndarray) -> None:
        self.stream.taps.heard.append(block)

    def _engine(self, separator: Separator, mode: Mode, run: str, mix: Mix, keepers: Keepers | None = None) -> Engine:
        sizes = self._sizes(separator, mode)
        rack = self.plugins.rack(keepers, sizes[0], sizes[1], sizes[2], self._width, sizes[3]) if keepers else None
        pairs, prepared = len(self.plan.outputs), self._prepared > 0
        return Engine(separator, mode, self._width, run, mix, self._engine_rate, pairs, prepared, rack)

    def _sizes(self, separator: Separator, mode: Mode) -> tuple[int, int, float, float]:
        """Return step, overlap-add tail, rate and device block in samples at that rate, as `rack.transit` wants them."""
        block = VARYING_BLOCK if self.device.block is None else self._block
        step = separator.metadata.frames * mode.hop
        return step, mode.synthesis - mode.hop, self._engine_rate, block * self._engine_rate / self.device.rate

    def _keepers(self, separator: Separator, mode: Mode, run: str) -> Keepers:
        """Start the plugins that are wanted."""
        stems = tuple(separator.metadata.stems) if run == "stems" else ()
        return self.plugins.open(stems, self._engine_rate, self._width, separator.metadata.frames * mode.hop)

    def _delayed(self, choice: Choice, separator: Separator, run: str, keepers: Keepers) -> Choice:
        """Return `choice` with what `keepers` delay by in it."""
        if not keepers:
            return choice
        delays = plugins.delays(keepers, *self._sizes(separator, separator.metadata.modes[choice.mode]))
        inserts = round(delays.whole * self.device.rate / self._engine_rate)
        return replace(choice, latency=replace(choice.latency, inserts=inserts))

    def _choice(
        self, separator: Separator, name: str, run: str, hops: int = LOOK, playing: bool = False
    ) -> Choice:
        """Return what a mode takes here; measured once."""
        block = self.device.block
        key = separator.path, name, run
        if (*key, block, self._block) in self._choices:
            return self._choices[*key, block, self._block]
        meta, mode = separator.metadata, separator.metadata.modes[name]
        engine = self._engine(separator, mode, run, replace(full_mix(meta.stems), routes=self.plan.mix.routes))
        if key not in self._works:
            self._works[key] = measure_work(engine, hops, playing or not self.plan.realtime)
        work = self._works[key]
        period = meta.frames * mode.hop / self._engine_rate
        # A measurement on a busy machine must not buy delay for ever: a hop of reserve is the most that helps.
        longest = max(min(work[1], period), self.plan.reserve)
        rate = self.device.rate
        reserve = reserve_for(longest, self._block, rate)
        if block is None:
            # A result may be asked for as early as one sample after the block that completed its hop.
            reserve = math.ceil(longest * rate) + VARYING_BLOCK
        scores = meta.quality.get(name)
        quality = float(np.mean(list(scores.values()))) if scores else None
        choice = Choice(name, chain_for(engine, rate).latency(block, reserve), work, period, quality)
        self._choices[*key, block, self._block] = choice
        return choice

    def change(self, wish: Wish) -> Started:
        """Let what `wish` names take over from what plays, once it is ready; return what runs then.

        It takes the time of loading, measuring and catching up, a second or so, while the music plays on. Raises
        HostError, and changes nothing, where that cannot be.
        """
        if wish.block is not None:
            self._change_block(wish.block)
        plan = self.plan
        separator = self.separator
        if wish.separator is not None and wish.separator != separator.path:
            separator = Separator.load(wish.separator, providers.in_turn(plan.provider))
        meta, started = separator.metadata, self.started
        if tuple(meta.stems) != started.stems:
            raise HostError(
                f"{meta.name} has the stems {', '.join(meta.stems)}, and this run {', '.join(started.stems)}; "
                "stop, and start with it"
            )
        if self._engine_rate not in meta.sample_rates:
            raise HostError(f"{meta.name} works at {_listed(meta.sample_rates)} Hz, and this run at {self._engine_rate}")
        if plan.stems is not None:
            raise HostError("the stems of this run are being written, and can be of one separator in one mode only")
        if meta.lookahead or self.stream.latency.lookahead:
            raise HostError("a separator that looks ahead neither takes over nor is taken over from; stop, and start with it")
        name = mode_name(separator, wish.mode or (started.latency_mode if started.latency_mode in meta.modes else None))
        run = wish.run or started.run
        if run not in meta.runs:
            raise HostError(f"{meta.name} does not run as {run}; it runs as {', '.join(meta.runs)}")
        as_it_is = (separator.path, name, run) == (self.separator.path, started.latency_mode, started.run)
        if as_it_is and not self.plugins.stale and self._fits():
            return self.started
        compile_aside(meta.n_fft)
        choice = self._choice(separator, name, run, playing=True)
        keepers = self._keepers(separator, meta.modes[name], run)
        if as_it_is and not keepers and not self.plugins.keepers:
            # What was to come in does not work, and nothing goes out.
            self.plugins.take_over(keepers, None)
            return self.started
        choice = self._delayed(choice, separator, run, keepers)
        notices = tight(separator, choice, run)
        given = False
        try:
            engine = self._engine(separator, meta.modes[name], run, self.stream.mix or plan.mix, keepers)
            engine.warm_up()
            if engine.rack is not None:
                engine.rack.wait_for(plugins.CATCHING_UP)
            following = successor(self.stream, engine, choice.latency)
            self._make_room(following)
            self.stream.succeed(following)
            given = True
            if not _within(HAND_OVER, lambda: self.stream.succeeded):
                raise HostError("the sound stands still: what was asked for takes over once it goes on")
        except BaseException:
            # What was given to the stream takes over still, and has its plugins then.
            if given:
                self.plugins.take_over(keepers, engine.rack)
            else:
                plugins.close(keepers)
            raise
        self.plugins.take_over(keepers, engine.rack)
        if plan.lockstep and engine.rack is not None:
            # What took over was given only as long as a clock gives.
            engine.rack.wait_for(math.inf)
        self.separator = separator
        self.plan = replace(plan, separator=separator.path, latency=name, run=run)
        choices = [
            choice
            if each == name
            else self._delayed(self._choice(separator, each, run, GLANCE, True), separator, run, keepers)
            for each in meta.modes
        ]
        self.started = replace(
            started,
            separator=meta.name,
            latency_mode=name,
            run=run,
            latency=choice.latency,
            hop=self.stream.chain.hop,
            work_ms=(1000 * choice.work[0], 1000 * choice.work[1]),
            notices=tuple(notices),
            choices=tuple(choices),
        )
        return self.started

    def _make_room(self, following: Successor) -> None:
        """Wait until the sound is late enough for `following`, which takes in what comes meanwhile.

        Then it has nothing to catch up with at the moment it takes over, when a hop is due. Where the sound stands still it waits
        with what it has.
        """
        self.stream.make_room(following.latency.inside)

        def ready() -> bool:
            following.keep_up()
            return self.stream.has_room

        _within(HAND_OVER, ready)

    def _fits(self) -> bool:
        """Whether the delay of the inserts is right for the device's block."""
        keepers, mode = self.plugins.keepers, self.separator.metadata.modes[self.started.latency_mode]
        return not keepers or plugins.delays(keepers, *self._sizes(self.separator, mode)) == self.stream.engine.delays

    def _change_block(self, block: int) -> None:
        """Close the device and open it again for blocks of `block`, between a fade out and a fade in."""
        if not 32 <= block <= 4096:
            raise HostError(f"a block has 32 to 4096 samples, not {block}")
        before, started, stream = self.device, self.started, self.stream
        if block == before.block:
            return
        if self.plan.lockstep or stream.latency.lookahead or isinstance(before, Fed):
            raise HostError("this run keeps its block; stop, and start with the other")
        self.release()
        try:
            try:
                self._reopen(block)
            except HostError:
                try:
                    self._reopen(before.block)
                except DeviceError as problem:
                    self._lost = str(problem).splitlines()[0].rstrip(".")
                raise
        finally:
            stream.bridge.fade(True)
            self._changing = False
        self.plan = replace(self.plan, block=block)
        choices = [
            self._delayed(self._choice(self.separator, each.mode, started.run), self.separator, started.run, self.plugins.keepers)
            for each in started.choices
        ]
        self.started = replace(started, block=block, latency=self.stream.latency, choices=tuple(choices))

    def _reopen(self, block: int) -> None:
        before = self.device
        if isinstance(before, NullDevice):
            self.device = self._null(self._read, before.rate, block, before.in_channels)
        else:
            self.device = PortAudioDevice(self.plan.device, before.rate, block, self.plan.lines)
        self._block = block
        choice = self._choice(self.separator, self.started.latency_mode, self.started.run)
        # Until another chain takes over, the inserts delay as they did.
        inserts = self.stream.latency.inserts
        self.stream.change_block(block, replace(choice.latency, inserts=inserts))
        self._complete(block)
        self.device.start(self.stream.bridge)

    def _complete(self, block: int) -> None:
        """Bring the stream to a whole number of blocks: the delay counts on hops that end where one does."""
        rest = -self.stream.bridge.available() % block
        if not rest:
            return
        # What came last is still due.
        _within(1.0, lambda: self.stream.idle)
        if isinstance(self.device, NullDevice):
            sound = self.stream.take(self._read, rest)
            if (hear := self._hearing) is not None:
                hear(sound)
        else:
            width = self.stream.bridge.in_channels
            self.stream.take(lambda count: np.zeros((count, width), np.float32), rest)

    def release(self) -> None:
        """Fade out and let go of the device, for another run; `retake` takes it again."""
        self._changing = True
        self.stream.bridge.fade(False)
        _within(1.0, lambda: self.stream.bridge.silent)
        self.device.stop()

    def retake(self) -> None:
        """Take the device again and fade in; where it is not to be had, it is `lost`."""
        try:
            if isinstance(self.device, NullDevice):
                self.device = self._null(self._read, self.device.rate, self.device.block, self.device.in_channels)
            self.device.start(self.stream.bridge)
        except DeviceError as problem:
            self._lost = str(problem).splitlines()[0].rstrip(".")
        self.stream.bridge.fade(True)
        self._changing = False

    def go_on_from(self, plan: Plan) -> None:
        """Leave out, before the start, what a run of `plan` has played meanwhile of the same source.

        What has been turned there meanwhile is turned here as well.
        """
        self.plugins.follow(self.plan.inserts, plan.inserts)
        if self.deck is not None and plan.deck is not None and plan.deck.path is not None:
            for order in plan.deck.orders_since(self.plan.deck):
                self.deck.order(order)
        elif self._frames is not None and plan.begin > self.plan.begin > 0:
            self._leave_out(self._read, round((plan.begin - self.plan.begin) * self.device.rate))

    def _null(self, read, rate: int, block: int, channels: int) -> NullDevice:
        lines = (channels, WIDTH * len(self.plan.outputs)) if self.plan.outputs else channels
        device = NullDevice(read, rate, block, lines, self._hearing)
        if not self.plan.realtime:
            device.priority = None
        return device

    @property
    def _hearing(self) -> Callable[[np.ndarray], object] | None:
        return self._wire.write if self._wire else self._hear if self.plan.record else None

    def _portaudio(self, plan: Plan, block: int, notices: list[str]) -> PortAudioDevice | None:
        if plan.device == "null":
            return None
        try:
            return PortAudioDevice(plan.device, plan.rate, None if plan.block == 0 else block, plan.lines)
        except HostError as problem:
            if plan.device is not None:
                raise
            # Outputs that are asked for are no matter of course.
            if plan.outputs:
                raise type(problem)(f"{problem}\n--outputs wants a device; with --device null it runs without sound") from None
            notices.append(
                f"no sound device ({str(problem).splitlines()[0].split(';')[0]}): running on the clock alone, without sound."
            )
            return None

    def _source(self, plan: Plan, rate: int, null: bool, notices: list[str]):
        if plan.deck is not None:
            self.deck = Deck(rate, plan.channels, plan.deck, self._prepared)
            return self.deck.read, plan.channels
        source = plan.source or ("demo" if null else None)
        if source is None:
            return None, plan.channels
        if source == "demo":
            if plan.source is None:
                notices.append("no input: playing the demo song.")
            audio = demo_song(rate=rate).mixture
            if plan.again:
                self._endless = True
                return endless(audio), audio.shape[1]
            self._frames = len(audio)
            return reader(audio), audio.shape[1]
        file = FileSource(source, rate)
        if file.notice:
            notices.append(file.notice)
        self._frames = file.frames
        return file.read, file.channels

    def _leave_out(self, read: Callable[[int], np.ndarray], frames: int) -> None:
        while frames > 0 and (taken := len(read(min(frames, 1 << 16)))):
            frames -= taken
            self._frames -= taken

    def start(self, say: Callable[[str], object] = lambda sentence: None) -> None:
        """Start inference and sound; `say` hears why the sound keeps us waiting."""
        if self.plan.lockstep:
            self.device.start_lockstep(self.stream.lockstep)
        else:
            self._read_ahead(say)
            self.stream.start()
            self.device.start(self.stream.bridge)

    def note(self, grants: Grants) -> None:
        """Let `started` tell of `grants`, from now on."""
        self.started = replace(self.started, grants=grants)

    def _read_ahead(self, say: Callable[[str], object]) -> None:
        ahead = self.stream.latency.read_ahead / self.stream.rate
        begun, said = time.monotonic(), False

        def read(n: int) -> np.ndarray:
            nonlocal said
            if not said and time.monotonic() - begun > PATIENCE:
                said = True
                say(f"reading ahead {ahead:.1f} s of look-ahead...")
            if self.deck is not None:
                self.deck.wait_for(n)
            return self._read(n)

        rack = self.stream.engine.rack
        if rack is not None:
            # Nothing of it is due yet.
            rack.wait_for(math.inf)
        self.stream.prime(read)
        if rack is not None:
            rack.wait_for(0.0)

    @property
    def over(self) -> bool:
        """Whether the source has been played out, or the device or the engine has failed."""
        return self.failure is not None or (not self.device.active() and not self._changing)

    @property
    def failure(self) -> str | None:
        """What went wrong, in a sentence; None while all is well."""
        if self.stream.failure is not None:
            return f"the engine failed ({self.stream.failure!r}); the sound went on dry until the stream was stopped."
        return self.device.error

    @property
    def lost(self) -> str | None:
        """What has become of a device whose return can be waited for, without a full stop; None while all is well."""
        if self.plan.lockstep or self.stream.failure is not None or self._changing:
            return None
        return self._lost or self.device.lost

    def resumption(self) -> Plan:
        """Return the plan of a run that goes on where this one ended, on the same device."""
        device, plan, started, snapshot = self.device, self.plan, self.started, self.stream.telemetry()
        gone_by = 0.0 if snapshot is None else snapshot.position / snapshot.rate
        return replace(
            plan,
            latency=started.latency_mode,
            run=started.run,
            # A null device has no other name.
            device=getattr(device, "where", plan.device),
            block=plan.block if device.block is None else device.block,
            works=tuple(self._works.items()),
            begin=plan.begin + gone_by,
            deck=None if self.deck is None else self.deck.setup(),
            inserts=self.plugins.wanted,
        )

    def stop(self) -> None:
        """Stop the sound, then inference."""
        self.device.stop()
        self.stream.stop()
        self.plugins.close()
        if self.deck is not None:
            self.deck.close()


def _within(seconds: float, condition: Callable[[], bool]) -> bool:
    """Wait until `condition` holds, no longer than so many `seconds`; return whether it does."""
    due = time.monotonic() + seconds
    while not (holds := condition()) and time.monotonic() < due:
        time.sleep(0.002)
    return holds


def _spread(read: Callable[[int], np.ndarray], channels: int) -> Callable[[int], np.ndarray]:
    """Return `read` with its channels repeated or left out, so that there are `channels`."""

    def spread(n: int) -> np.ndarray:
        rows = read(n)
        return rows[:, [c % rows.shape[1] for c in range(channels)]]

    return spread
