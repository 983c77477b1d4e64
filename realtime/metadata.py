"""What a separator file says about itself: one JSON document under the ONNX metadata key `lasaft_live`."""

from __future__ import annotations

import json
import math
import re
from dataclasses import asdict, dataclass, field, fields

from realtime.errors import HostError
from realtime.latency import Mode
from realtime.windows import analysis_window, synthesis_window

KEY = "lasaft_live"
FORMAT = 1
RUNS = ("single", "stems")

# Characters with a meaning of their own in an OSC address, where stem names appear.
_STEM = re.compile(r"^[^\s/#*,?\[\]{}]+$")
_HASH = re.compile(r"^[0-9a-f]{64}$")


@dataclass(frozen=True)
class Training:
    """What a separator was trained on (`data`) and under which terms it may be used (`licence`)."""

    data: str
    licence: str

    def __post_init__(self) -> None:
        _clause(_text(self.data), "training.data", self.data, "a non-empty text")
        _clause(_text(self.licence), "training.licence", self.licence, "a non-empty text")


@dataclass(frozen=True)
class Metadata:
    """Everything the host needs to know about a separator; building one checks every clause.

    `stems` names the entries of the condition, in order. `n_fft` is the frame's length in samples at
    any of `sample_rates` (Hz); `frames` are handed over per call and the estimate lags `lookahead`
    frames. `normalisation` "none" is the plain real FFT of the windowed frame. `modes` are those the
    separator was trained and measured for, `quality` their SDR in dB per mode and stem, `weights` the
    SHA-256 of the parameters, which export fills in. A separator that cannot stream exactly, because its
    recurrences run backwards too, works on overlapping chunks of `chunk` frames; 0 is all others. `ages`
    says for each state after how many calls what came out comes in again; empty means after one, all of them.
    Raises HostError naming the clause that is broken.
    """

    name: str
    architecture: str
    stems: tuple[str, ...]
    sample_rates: tuple[int, ...]
    channels: int
    n_fft: int
    frames: int
    lookahead: int
    modes: dict[str, Mode]
    training: Training
    weights: str = "0" * 64
    runs: tuple[str, ...] = RUNS
    normalisation: str = "none"
    quality: dict[str, dict[str, float]] = field(default_factory=dict)
    chunk: int = 0
    ages: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for name in ("name", "architecture"):
            _clause(_text(getattr(self, name)), name, getattr(self, name), "a non-empty text")
        _clause(
            _listing(self.stems, lambda stem: isinstance(stem, str) and _STEM.match(stem)),
            "stems",
            self.stems,
            "a list of different names without spaces or any of / # * , ? [ ] { }",
        )
        _clause(
            _listing(self.sample_rates, lambda rate: _whole(rate, 1)), "sample_rates", self.sample_rates, "a list of Hz"
        )
        for name, least in (("channels", 1), ("frames", 1), ("lookahead", 0), ("chunk", 0)):
            _clause(_whole(getattr(self, name), least), name, getattr(self, name), f"a whole number from {least} up")
        aged = isinstance(self.ages, tuple) and all(_whole(age, 1) for age in self.ages)
        _clause(aged, "ages", self.ages, "a list of whole numbers from 1 up, or nothing")
        _clause(_whole(self.n_fft, 2) and self.n_fft % 2 == 0, "n_fft", self.n_fft, "an even whole number")
        _clause(self.normalisation == "none", "normalisation", self.normalisation, '"none"')
        _clause(_listing(self.runs, lambda run: run in RUNS), "runs", self.runs, "some of " + ", ".join(RUNS))
        _clause(isinstance(self.weights, str) and _HASH.match(self.weights), "weights", self.weights, "a SHA-256 in hex")
        _clause(isinstance(self.training, Training), "training", self.training, "data and licence")
        _clause(isinstance(self.modes, dict) and self.modes, "modes", self.modes, "at least one latency mode")
        for name, mode in self.modes.items():
            try:
                synthesis_window(analysis_window(mode.analysis, self.n_fft), mode.hop, mode.synthesis)
            except ValueError as error:
                raise HostError(f"metadata field 'modes.{name}' names windows that cannot be built: {error}") from None
            # A call's frames see one state, one after the other.
            alone = mode.interleave == 1 or (self.frames == 1 and self.lookahead == 0)
            _clause(alone, f"modes.{name}.interleave", mode.interleave, "1 where calls take or wait for several frames")
        _clause(isinstance(self.quality, dict), "quality", self.quality, "dB per mode and stem")
        for name, scores in self.quality.items():
            known = name in self.modes and isinstance(scores, dict) and set(scores) <= set(self.stems)
            _clause(known and all(map(_number, scores.values())), f"quality.{name}", scores, "dB per stem of a known mode")

    @property
    def bins(self) -> int:
        """Bins of one frame's spectrum."""
        return self.n_fft // 2 + 1

    def to_json(self) -> str:
        """Return the JSON document to embed in the file."""
        return json.dumps({"format": FORMAT, **asdict(self)})

    @classmethod
    def from_json(cls, text: str) -> Metadata:
        """Return the metadata in `text`. Raises HostError naming the clause that it breaks.

        Fields this version does not know are ignored.
        """
        try:
            document = json.loads(text)
        except ValueError:
            raise HostError("its metadata is not a JSON document") from None
        if not isinstance(document, dict):
            raise HostError("its metadata is not a JSON object")
        _clause("format" in document, "format", None, str(FORMAT))
        if document["format"] != FORMAT or isinstance(document["format"], bool):
            raise HostError(f"its format version is {document['format']!r}, and this host reads version {FORMAT}")
        known = {}
        for entry in fields(cls):
            if entry.name not in document:
                if entry.name in ("chunk", "ages"):  # younger than the format
                    continue
                raise HostError(f"its metadata lacks the field '{entry.name}'")
            value = document[entry.name]
            known[entry.name] = tuple(value) if isinstance(value, list) else value
        known["modes"] = _modes(known["modes"])
        known["training"] = _training(known["training"])
        return cls(**known)


def _clause(kept: object, name: str, value: object, allowed: str) -> None:
    if not kept:
        raise HostError(f"metadata field '{name}' is {_short(value)}, where the contract wants {allowed}")


def _short(value: object) -> str:
    if value is None:
        return "missing"
    shown = json.dumps(value, default=str)
    return shown if len(shown) <= 80 else shown[:77] + "..."


def _text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _whole(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _listing(value: object, good) -> bool:
    return isinstance(value, tuple) and bool(value) and all(map(good, value)) and len(set(value)) == len(value)


def _modes(value: object) -> dict[str, Mode]:
    _clause(isinstance(value, dict), "modes", value, "an object of latency modes")
    modes = {}
    for name, entry in value.items():
        kept = (
            isinstance(entry, dict)
            and _whole(entry.get("hop"), 1)
            and _whole(entry.get("synthesis"), 1)
            and isinstance(entry.get("analysis"), str)
            and _whole(entry.get("interleave", 1), 1)  # younger than the format
        )
        _clause(
            kept,
            f"modes.{name}",
            entry,
            "hop and synthesis in samples, the name of an analysis window, and by how many states it interleaves",
        )
        try:
            modes[name] = Mode(entry["hop"], entry["synthesis"], entry["analysis"], entry.get("interleave", 1))
        except ValueError as error:
            raise HostError(f"metadata field 'modes.{name}': {error}") from None
    return modes


def _training(value: object) -> Training:
    _clause(
        isinstance(value, dict) and {"data", "licence"} <= set(value), "training", value, "an object with data and licence"
    )
    return Training(value["data"], value["licence"])
