#!/usr/bin/env python3
"""LaSAFT Live: isolate instruments out of live music, in real time.

Without a subcommand it starts the live host: the window where there is a display, a view in the
terminal where there is none; the default sound device, or the demo song on the clock where there is none.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

DEFAULT_MODEL = "lasaft-live"
LATENCIES = ("safe", "low", "lower", "extreme")


def _shared(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model",
        default=DEFAULT_MODEL,
        metavar="NAME_OR_FILE",
        help=f"separator to use (default: {DEFAULT_MODEL}; `models` lists them)",
    )
    parser.add_argument(
        "--latency",
        choices=LATENCIES,
        help="latency mode: how much is added to the device's own delay (default: low, or the first the separator has)",
    )


def _map_option(parser) -> None:
    parser.add_argument("--midi-map", type=Path, metavar="FILE", help="MIDI map (default: midi.toml among your settings)")


def _reserve(parser: argparse._ActionsContainer) -> None:
    parser.add_argument(
        "--reserve",
        type=float,
        default=0.0,
        metavar="MS",
        help="at least so much of the delay is kept for a hop to be late in, 0 to 200 (default: what is measured at start)",
    )


def _seconds_of_reserve(milliseconds: float) -> float:
    from realtime.errors import HostError

    if not 0 <= milliseconds <= 200:
        raise HostError(f"--reserve {milliseconds:g}: the least reserve is 0 to 200 ms")
    return milliseconds / 1000


def _live_options(parser: argparse.ArgumentParser) -> None:
    sound = parser.add_argument_group("sound")
    sound.add_argument(
        "--device",
        metavar="NAME",
        help="sound device by index or part of its name; `null` for none (default: the system's)",
    )
    sound.add_argument("--rate", type=int, metavar="HZ", help="device rate (default: the device's own)")
    sound.add_argument(
        "--block",
        type=int,
        metavar="SAMPLES",
        help="device block, 32 to 4096; 0 lets the device choose and vary (default: the hop, at most 512)",
    )
    _reserve(sound)
    sound.add_argument("--channels", type=int, default=2, metavar="N", help="channels in and out (default: 2)")
    sound.add_argument(
        "--outputs",
        metavar="LIST",
        help="what leaves on each pair of output channels, separated by commas: master, a stem, remainder, dry, cue or "
        "none; a stem with :pre is taken before its fader (default: the master alone)",
    )
    sound.add_argument(
        "--insert",
        action="append",
        default=[],
        dest="inserts",
        metavar="TARGET=PATH",
        help="have a plugin on a stem or on `master`, such as vocals=/usr/lib/vst3/ZamCompX2.vst3; may be repeated "
        "(`plugins` lists what is found)",
    )
    sound.add_argument("--slots", action="store_true", help="have controls to put plugins in while music plays; --insert has too")
    source = sound.add_mutually_exclusive_group()
    source.add_argument("--input", metavar="FILE", help="play this file as the live source; `demo` for the demo song")
    source.add_argument(
        "--deck",
        nargs="?",
        const="",
        metavar="FILE",
        help="have a deck as the source, to play, loop and jump in files over OSC, with this one on it",
    )
    sound.add_argument(
        "--deck-separator", metavar="NAME_OR_FILE",
        help="what prepares the deck's file in the background (default: the one of the same stems that was measured best)",
    )
    sound.add_argument(
        "--deck-cache", type=float, default=10.0, metavar="GB", help="how much of what was prepared is kept; 0: nothing is prepared"
    )
    sound.add_argument("--record", type=Path, metavar="WAV", help="write what is heard to this file (null device only)")
    sound.add_argument(
        "--stems", type=Path, metavar="DIR", help="write the separated stems of the run here (null device only)"
    )
    sound.add_argument(
        "--record-to",
        type=Path,
        metavar="DIR",
        help="record mixture, master and stems of the whole run to a folder in this one, on any device",
    )
    sound.add_argument(
        "--run",
        choices=("single", "stems"),
        help="one pass under the condition, or all stems mixed by gains (default: stems where there are several)",
    )
    sound.add_argument(
        "--provider",
        default="cpu",
        metavar="NAME",
        help="what computes the network: cpu, cuda, tensorrt, openvino, coreml or directml; "
        "the CPU where that cannot be had (default: cpu)",
    )
    sound.add_argument(
        "--hold",
        action="store_true",
        help="stay in the latency mode, however much is missed (default: step to one that costs less, and back)",
    )
    sound.add_argument(
        "--lockstep",
        action="store_true",
        help="compute inside the device callback, which may wait: for freewheeling servers, never live",
    )
    sound.add_argument(
        "--no-realtime",
        dest="realtime",
        action="store_false",
        help="ask the system neither for real-time priority nor to keep the host in memory",
    )
    control = parser.add_argument_group("control")
    begin = control.add_mutually_exclusive_group()
    begin.add_argument("--scene", metavar="NAME", help="begin as this scene says; other options go before what it says")
    begin.add_argument("--restore", action="store_true", help="begin as the host stood when it last ended")
    control.add_argument("--preset", metavar="NAME", help="preset to start with, e.g. acapella")
    _gesture_option(control, "play this gesture from where the sound begins")
    control.add_argument(
        "--osc-host", default="127.0.0.1", metavar="ADDRESS", help="address to listen on (default: this machine only)"
    )
    control.add_argument(
        "--osc-port", type=int, default=9000, metavar="PORT", help="UDP and TCP port to listen on (default: 9000)"
    )
    control.add_argument(
        "--osc-allow",
        nargs="+",
        default=(),
        metavar="ADDRESS",
        help="with --osc-host: listen only to these addresses and networks, such as 192.168.1.0/24, and to this machine",
    )
    control.add_argument(
        "--midi", action="append", default=[], metavar="PORT",
        help="MIDI controller, by part of its port's name; may be repeated (`midi` lists the ports)",
    )
    _map_option(control)
    query = control.add_mutually_exclusive_group()
    query.add_argument(
        "--oscquery-port",
        type=int,
        metavar="PORT",
        help="TCP port that controllers learn the controls from (default: the one after OSC's, or any that is free)",
    )
    query.add_argument(
        "--no-oscquery", action="store_true", help="neither describe the controls nor announce the host on the network"
    )
    view = control.add_mutually_exclusive_group()
    view.add_argument("--window", action="store_true", help="insist on the window")
    view.add_argument("--no-window", action="store_true", help="stay in the terminal")


def _gesture_option(parser, text: str, **options) -> None:
    parser.add_argument(
        "--gesture",
        action="append",
        default=[],
        dest="gestures",
        metavar="NAME_OR_FILE",
        help=f"{text}; may be given more than once",
        **options,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="run_live.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    _shared(parser)
    # A scene may name one.
    parser.set_defaults(model=None)
    _live_options(parser)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")

    separate = commands.add_parser("separate", help="split audio files into stems, as fast as it goes")
    separate.add_argument("inputs", nargs="+", type=Path, metavar="IN", help="audio files")
    separate.add_argument(
        "-o", "--output", type=Path, required=True, metavar="DIR", help="writes DIR/<song>/<stem>.wav and remainder.wav"
    )
    _shared(separate)

    perform = commands.add_parser("perform", help="play a song through gestures into a file, the same to the bit each time")
    perform.add_argument("song", metavar="SONG", help="audio file; `demo` for the demo song")
    _gesture_option(perform, "what is done while the song plays", required=True)
    perform.add_argument("-o", "--output", type=Path, required=True, metavar="WAV", help="file for what is heard")
    perform.add_argument("--stems", type=Path, metavar="DIR", help="also write the separated stems here, before their gains")
    perform.add_argument("--picture", type=Path, metavar="PNG", help="also draw the song, the performance and its gains")
    perform.add_argument("--preset", metavar="NAME", help="preset to start with, e.g. acapella")
    perform.add_argument("--loop", action="store_true", help="let the gestures come round until the song ends")
    perform.add_argument("--speed", type=float, default=1.0, metavar="X", help="how fast the gestures go, 0.1 to 10 (default: 1)")
    perform.add_argument(
        "--run",
        choices=("single", "stems"),
        help="one pass under the condition, or all stems mixed by gains (default: stems where there are several)",
    )
    _shared(perform)

    commands.add_parser("devices", help="list the sound devices")
    commands.add_parser("plugins", help="list the plugins in the folders where they are installed")
    models = commands.add_parser("models", help="list the separators, and the systems that they are made of")
    models.add_argument("--no-systems", dest="systems", action="store_false", help="list the separators only")

    importer = commands.add_parser(
        "import", help="make a separator from a published checkpoint (needs the train extra)"
    )
    importer.add_argument("checkpoint", type=Path)
    importer.add_argument("--name", required=True, help="name under which --model finds it")
    importer.add_argument(
        "--arguments",
        type=Path,
        metavar="JSON",
        help="the network's published constructor arguments, where the checkpoint is without them",
    )

    bench = commands.add_parser("bench", help="measure latency, load and misses on this machine")
    _shared(bench)
    bench.add_argument("--hops", type=int, default=0, metavar="N", help="hops per mode and run (default: one minute)")
    bench.add_argument("--modes", nargs="+", metavar="MODE", help="latency modes to measure (default: all it has)")
    bench.add_argument(
        "--runs", nargs="+", choices=("single", "stems"), help="ways to run the condition (default: all it has)"
    )
    bench.add_argument(
        "--block", type=int, metavar="SAMPLES", help="device block, 32 to 4096 (default: the hop, at most 512)"
    )
    _reserve(bench)
    bench.add_argument(
        "--bare", action="store_true", help="also pace the network without the host, to tell its misses from the machine's"
    )
    bench.add_argument(
        "--peers",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="also time other systems where they are installed (hs-tasnet)",
    )
    bench.add_argument(
        "--window", action="store_true", help="also measure the same run with the window open and busy, and without it"
    )
    bench.add_argument("--json", type=Path, metavar="FILE", help="also write the figures here")
    bench.add_argument("--html", type=Path, metavar="FILE", help="also write a page with plots here")

    soak = commands.add_parser("soak", help="run for long, changing everything; watch misses, memory and delay")
    soak.add_argument("--model", default=DEFAULT_MODEL, metavar="NAME_OR_FILE", help="separator to begin with")
    soak.add_argument("--minutes", type=float, default=30.0, metavar="N", help="how long (default: 30)")
    soak.add_argument("--messages", type=int, default=1000, metavar="N", help="OSC messages a second (default: 1000)")
    soak.add_argument("--seed", type=int, default=0, help="chooses the changes (default: 0)")
    soak.add_argument("--json", type=Path, metavar="FILE", help="also write what was found here")

    osc = commands.add_parser("osc", help="print the whole OSC address space")
    osc.add_argument("--model", default=DEFAULT_MODEL, metavar="NAME_OR_FILE", help="separator whose stems are meant")
    osc.add_argument("--outputs", metavar="LIST", help="what leaves on each output pair, for the controls of these")
    osc.add_argument("--slots", action="store_true", help="with the controls of plugins")
    osc.add_argument("--markdown", action="store_true", help="as a table in Markdown")

    midi = commands.add_parser("midi", help="list the MIDI ports, and what moves what")
    midi.add_argument("--model", default=DEFAULT_MODEL, metavar="NAME_OR_FILE", help="separator whose stems are meant")
    _map_option(midi)
    return parser


def _outputs(options: argparse.Namespace) -> tuple[str, ...]:
    return tuple(name.strip() for name in options.outputs.split(",")) if options.outputs else ()


def _live(options: argparse.Namespace) -> int:
    from rich.console import Console

    from realtime.deck.orders import Setup
    from realtime.deck.preparer import HighQuality
    from realtime.errors import HostError
    from realtime.host import Discovery, Host, MidiPorts, OscAddress, has_display, open_window
    from realtime.inserts.insert import parse_inserts
    from realtime.library import find_separator
    from realtime.mix import Mix
    from realtime.plan import Plan
    from realtime.scene import Wanted, wanted
    from realtime.scenes import open_last, open_scene
    from realtime.separator import Separator
    from realtime.terminal import status_line, watch

    if options.block not in (None, 0) and not 32 <= options.block <= 4096:
        raise HostError(f"--block {options.block}: a block has 32 to 4096 samples, or 0 for what the device likes")
    if options.rate is not None and not 8000 <= options.rate <= 384000:
        raise HostError(f"--rate {options.rate}: a device rate has 8000 to 384000 Hz")
    if options.channels < 1:
        raise HostError(f"--channels {options.channels}: a stream has at least one channel")
    if options.midi_map is not None and not options.midi:
        raise HostError("--midi-map says what a controller moves: name it with --midi PORT (`run_live.py midi` lists the ports)")
    if options.deck_cache < 0:
        raise HostError(f"--deck-cache {options.deck_cache:g}: a size is 0 or more, in GB")
    best = None if options.deck_separator is None else find_separator(options.deck_separator)
    hq = HighQuality(separator=best, limit=round(1e9 * options.deck_cache)) if options.deck_cache else None
    scene = open_scene(options.scene) if options.scene else open_last() if options.restore else None
    chosen, problems = Wanted(), ()
    if scene is not None:
        chosen, problems = wanted(scene, options.model or DEFAULT_MODEL)
    windowed = options.window or (has_display() and not options.no_window)
    path = find_separator(options.model or chosen.model or DEFAULT_MODEL)
    inserts = parse_inserts(options.inserts, Separator.load(path).metadata.stems) if options.inserts else ()
    plan = Plan(
        separator=path,
        mix=Mix(()),
        latency=options.latency or chosen.mode,
        run=options.run or chosen.run,
        device=options.device if options.device is not None else chosen.device,
        rate=options.rate,
        block=options.block if options.block is not None else chosen.block,
        reserve=_seconds_of_reserve(options.reserve),
        channels=options.channels,
        outputs=_outputs(options),
        source=options.input,
        deck=None if options.deck is None else Setup(options.deck or None),
        # A window that opens for the first time must not lose its host with the song's last note.
        again=windowed and options.input is None and options.record is None and options.stems is None,
        record=options.record,
        stems=options.stems,
        provider=options.provider,
        automatic=not options.hold,
        lockstep=options.lockstep,
        inserts=inserts,
        slots=options.slots or bool(inserts),
        realtime=options.realtime,
    )
    osc = OscAddress(options.osc_host, options.osc_port, tuple(options.osc_allow))
    discovery = None if options.no_oscquery else Discovery(options.oscquery_port)
    with Console(stderr=True).status("starting, and measuring how long a hop takes here...") as status:

        def start(plan: Plan) -> Host:
            return Host(
                plan,
                osc,
                options.preset,
                show=not windowed and options.preset is None and not options.gestures and scene is None,
                say=status.update,
                midi=MidiPorts(tuple(options.midi), options.midi_map),
                gestures=options.gestures,
                record_to=options.record_to,
                scene=scene,
                keep_last=True,
                discovery=discovery,
                hq=hq,
            )

        try:
            host = start(plan)
        except HostError as problem:
            if options.device is not None or chosen.device is None:
                raise
            # The scene may be of another stage; without its device, there is the usual one.
            problems += (f"{scene.title}, device: {problem}; the usual device is tried",)
            host = start(replace(plan, device=None))
    for problem in problems:
        print(f"note: {problem}", file=sys.stderr)
    window = open_window(osc) if windowed else None
    ended = watch(host)
    if window is not None:
        window.terminate()
    if ended.telemetry is not None:
        print(status_line(ended.telemetry))
    for file in (*ended.files, *host.recorder.folders):
        print(f"wrote {file}")
    for remark in host.recorder.remarks:
        print(f"note: {remark}", file=sys.stderr)
    if ended.failure:
        raise HostError(ended.failure)
    return 0


def _separate(options: argparse.Namespace) -> int:
    from rich.markup import escape
    from rich.progress import Progress

    from realtime.defaults import mode_of
    from realtime.errors import HostError
    from realtime.library import find_separator
    from realtime.offline import separate_file
    from realtime.separator import Separator

    separator = Separator.load(find_separator(options.model))
    mode = mode_of(separator, options.latency)
    failed = 0
    taken: set[Path] = set()
    with Progress(transient=True) as progress:
        for path in options.inputs:
            folder, number = options.output / path.stem, 2
            while folder in taken:
                folder, number = options.output / f"{path.stem}-{number}", number + 1
            taken.add(folder)
            task = progress.add_task(escape(path.name), total=1.0)
            try:
                files, notices = separate_file(
                    separator,
                    mode,
                    path,
                    folder,
                    lambda share, task=task: progress.update(task, completed=share),
                    spare=options.inputs,
                )
            except HostError as problem:
                print(f"error: {problem}", file=sys.stderr)
                failed += 1
                continue
            finally:
                progress.remove_task(task)
            for notice in notices:
                progress.console.print(f"note: {notice}", markup=False)
            progress.console.print(f"{folder}: " + ", ".join(file.name for file in files), markup=False)
    return 1 if failed else 0


def _perform(options: argparse.Namespace) -> int:
    from rich.console import Console
    from rich.progress import Progress

    from realtime.defaults import mode_of
    from realtime.library import find_separator
    from realtime.performance import Performance, perform
    from realtime.separator import Separator

    separator = Separator.load(find_separator(options.model))
    performance = Performance(
        song=options.song,
        gestures=tuple(options.gestures),
        output=options.output,
        stems=options.stems,
        picture=options.picture,
        preset=options.preset,
        loop=options.loop,
        speed=options.speed,
        run=options.run,
    )
    with Progress(transient=True, console=Console(stderr=True)) as progress:
        task = progress.add_task("performing", total=1.0)
        files, notices = perform(
            separator,
            mode_of(separator, options.latency),
            performance,
            lambda share: progress.update(task, completed=share),
        )
    for notice in notices:
        print(f"note: {notice}", file=sys.stderr)
    for file in files:
        print(f"wrote {file}")
    return 0


def _models(options: argparse.Namespace) -> int:
    from realtime.errors import HostError
    from realtime.library import list_separators
    from realtime.separator import Separator

    found: dict[str, list[str]] = {}
    for name, path in list_separators().items():
        try:
            meta = Separator.load(path).metadata
        except HostError as problem:
            print(f"{name:<16} unusable: {problem}")
            continue
        rates = "/".join(f"{rate / 1000:g}" for rate in meta.sample_rates)
        print(f"{name:<16} {meta.architecture}: {', '.join(meta.stems)}; {rates} kHz; latency {', '.join(meta.modes)}")
        print(f"{'':<16} {path.stat().st_size / 1e6:.1f} MB; {meta.training.licence}; trained on {meta.training.data}")
        found.setdefault(meta.architecture, []).append(name)
        if meta.lookahead:
            late = meta.lookahead * max(mode.hop for mode in meta.modes.values()) / meta.sample_rates[0]
            print(f"{'':<16} looks {late:.2f} s ahead: a file is not heard late, a live input is")
    if options.systems:
        _systems(found)
    return 0


def _systems(found: dict[str, list[str]]) -> None:
    """Print the systems that networks can be built of, and what they cost."""
    print(f"\n{'system':<20} {'parameters':>10} {'GMAC/s':>7} {'look-ahead':>10}  what it is; the weights at hand")
    systems = json.loads((Path(__file__).parent / "models" / "systems.json").read_text())
    for name, costs in systems.items():
        weights = ", ".join(found.get(name, [])) or "none"
        line = f"{name:<20} {costs['parameters'] / 1e6:>8.2f} M {costs['macs_per_second'] / 1e9:>7.2f} "
        print(f"{line}{costs['lookahead_seconds']:>8.2f} s  {costs['title']} ({costs['source']}); {weights}")


def _import(options: argparse.Namespace) -> int:
    from rich.console import Console

    from realtime.errors import HostError
    from realtime.library import user_folder

    try:
        from models.checkpoint import import_checkpoint
    except ImportError as problem:
        raise HostError(f"import needs the train extra ({problem}): pip install -e '.[train]'") from None
    with Console(stderr=True).status("exporting, and comparing the file with torch over 200 frames..."):
        path = import_checkpoint(options.checkpoint, options.name, user_folder(), options.arguments)
    print(f"wrote {path}; use it with --model {options.name}")
    return 0


def _plugins(options: argparse.Namespace) -> int:
    from realtime.inserts.folders import listing

    print(listing())
    return 0


def _devices(options: argparse.Namespace) -> int:
    from realtime.devices.portaudio import list_devices

    print(list_devices())
    return 0


def _osc(options: argparse.Namespace) -> int:
    from realtime.control import table_text
    from realtime.library import find_separator, list_separators
    from realtime.separator import Separator

    separator = Separator.load(find_separator(options.model))
    meta = separator.metadata
    models = sorted({*list_separators(), meta.name})
    print(table_text(meta.stems, separator.attends, options.markdown, _outputs(options), models, options.slots))
    return 0


def _midi(options: argparse.Namespace) -> int:
    from realtime.library import find_separator
    from realtime.midi.listing import listing
    from realtime.separator import Separator

    separator = Separator.load(find_separator(options.model))
    print(listing(separator.metadata.stems, options.midi_map))
    return 0


def _bench(options: argparse.Namespace) -> int:
    from realtime.bench import Request, bench
    from realtime.library import find_separator

    modes = options.modes or ([options.latency] if options.latency else None)
    return bench(
        Request(
            path=find_separator(options.model),
            hops=options.hops,
            modes=tuple(modes) if modes else None,
            runs=tuple(options.runs) if options.runs else None,
            block=options.block,
            reserve=_seconds_of_reserve(options.reserve),
            bare=options.bare,
            peers=options.peers,
            json=options.json,
            html=options.html,
            window=options.window,
        )
    )


def _soak(options: argparse.Namespace) -> int:
    from realtime.library import find_separator
    from realtime.soak import Request, soak

    path = find_separator(options.model)
    return soak(Request(path, options.minutes, options.seed, options.messages, options.json))


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return its exit status."""
    options = _parser().parse_args(arguments)
    commands = {
        "separate": _separate,
        "perform": _perform,
        "devices": _devices,
        "plugins": _plugins,
        "models": _models,
        "import": _import,
        "bench": _bench,
        "soak": _soak,
        "osc": _osc,
        "midi": _midi,
    }
    try:
        from realtime.errors import HostError
    except ImportError as problem:
        print(f"error: {problem}; install the run-time packages first: pip install .[cpu]", file=sys.stderr)
        return 1
    try:
        _refuse_folders(options)
        return commands.get(options.command, _live)(options)
    except HostError as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read what is printed has seen enough; what is still buffered must not complain either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _refuse_folders(options: argparse.Namespace) -> None:
    """Raise HostError where a folder is named as a file to write, which would be found out only at the end."""
    from realtime.errors import HostError

    for name in ("json", "html", "picture", "record", "midi_map", *(["output"] if options.command == "perform" else [])):
        path = getattr(options, name, None)
        if path is not None and path.is_dir():
            raise HostError(f"--{name.replace('_', '-')} {path} is a folder: name a file")


def _end_as_by_ctrl_c() -> None:
    """Have the closing of the terminal, and the system's wish that the program ends, end it as Ctrl-C does: takes are finished."""
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        # nohup has the latter ignored.
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)


if __name__ == "__main__":
    _end_as_by_ctrl_c()
    sys.exit(main())
