"""A run from the command line's options: network, data and trainer put together, new or as a checkpoint has them."""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import warnings

import numpy as np
import torch
from lightning.pytorch import Trainer

from models.architectures import network as build
from models.bandloss import band_sums
from models.data.augmentation import Augmentation
from models.data.corpus import Corpus
from models.data.layout import STEMS
from models.data.pool import Pool, pool_folders, render_pool
from models.data.remix import Remix
from models.live_network import LiveNetwork
from models.train import checkpoint, ranks
from models.train.batches import Batches, Source
from models.train.keeper import Keeper
from models.train.log import Log
from models.train.module import CLIP, NotFinite, Training
from models.train.options import Options
from models.train.report import Report
from models.train.schedule import Schedule
from models.train.teacher import Teacher
from models.train.watch import Watch
from models.train.windows import ANALYSIS, HOP, host_windows
from realtime.errors import HostError
from realtime.windows import analysis_window

_EXCERPTS = 6
_STATISTICS = 4
_APART = 100_003


def train(options: Options) -> None:
    """Train as `options` say. Raises HostError where that cannot be, or where the loss is no number any more."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning")
    torch.set_num_threads(options.threads)
    torch.set_flush_denormal(True)  # states that decay in silence cost a CPU many times the work
    first = ranks.first()
    corpus = _corpus(options, first)
    document = checkpoint.read(options.run)
    torch.manual_seed(options.seed)
    network = _network(options, document)
    windows = host_windows(options.modes, network.config.n_fft)
    pool = Pool(options.pool)
    average = checkpoint.network_of(document) if document else None
    document = document or {}
    step = document.get("step", 0)
    schedule = _schedule(options, document)
    if schedule.over(step) or step >= (options.steps or step + 1):
        raise HostError(f"{options.run} is at step {step} already, and was to stop there; nothing was trained")
    options.run.mkdir(parents=True, exist_ok=True)

    traits = _traits(options, pool)
    keeper = Keeper(
        options.run, options.minutes, options.steps, options.save_minutes * 60, document.get("seconds", 0.0), traits
    )
    keeper.best = document.get("best", keeper.best)
    callbacks = [keeper]
    if first:
        world = options.devices * options.nodes
        report = Report(Log(options.run, step), keeper, options.log_every, world * options.lanes, options.frames)
        callbacks = [report, *_watch(options, corpus, report), keeper]
    trainer = _trainer(options, callbacks)

    def remix(seed: int) -> Remix:
        window = analysis_window(ANALYSIS, network.config.n_fft)
        augmentation = Augmentation() if options.augment else None
        return Remix(pool, options.lanes, options.frames, HOP, window, seed=seed, augmentation=augmentation)

    if average is None:
        measure_features(network, remix(options.seed))
        average = copy.deepcopy(network)
    seed = options.seed + step + _APART * trainer.global_rank
    source = Source(remix(seed + 1), windows, network.bands.edges, options.loss == "windows", seed)
    training = Training(network, average, schedule, options.lanes, seed, _teacher(options, network))
    if document:
        own, told = _own(document, traits, trainer)
        training.go_on(document, own)
        if own is not None:
            source.restore(own["data"])
        if first:
            report.say(f"resumed at step {step}{told}")
    batches = Batches(source)
    try:
        trainer.fit(training, train_dataloaders=batches)
    except NotFinite as error:
        kept = "" if not (options.run / checkpoint.LAST).exists() else f" {options.run / checkpoint.LAST} is kept"
        raise NotFinite(f"{error}; training has stopped, and{kept or ' there is no checkpoint yet'}") from None
    finally:
        batches.stop()
    if first:
        report.say(f"stopped at step {training.step}; {options.run / checkpoint.LAST} is there to go on from")


def _corpus(options: Options, first: bool) -> Corpus:
    """Return the songs, and see that there is a pool. Only the first process tells of what is left out."""
    with contextlib.nullcontext() if first else contextlib.redirect_stderr(io.StringIO()):
        corpus = Corpus(options.data)
    if not pool_folders(options.pool[0]):
        if not first:
            raise HostError(f"there is no pool in {options.pool[0]}; the first node renders it, start the others after")
        render_pool(corpus, options.pool[0])
    return corpus


def _network(options: Options, document: dict | None) -> LiveNetwork:
    if document is None:
        try:
            return build(options.config)
        except (TypeError, ValueError) as error:
            raise HostError(f"--config describes no network ({error}); training has not begun") from None
    try:
        network = checkpoint.network_of(document, "model")
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise HostError(
            f"the checkpoint in {options.run} is of a network that this version cannot build ({reason}); "
            "name another --run to begin anew"
        ) from None
    own = network.config.to_dict()
    if other := [name for name, value in options.config.items() if own[name] != value]:
        raise HostError(
            f"the checkpoint in {options.run} has other values of {', '.join(other)} than --config; "
            "leave --config out to go on with it, or name another --run to begin anew"
        )
    return network


def _teacher(options: Options, pupil: LiveNetwork) -> Teacher | None:
    if options.teacher is None:
        return None
    try:
        network = checkpoint.load(options.teacher)
    except Exception as error:  # noqa: BLE001  whatever a file that is no checkpoint makes of the reader
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise HostError(f"{options.teacher} is no checkpoint to learn from ({reason}); training has not begun") from None
    return Teacher(network, pupil, options.lanes)


def _schedule(options: Options, document: dict) -> Schedule:
    begin, length = document.get("anneal", [0, 0])
    if not options.anneal:
        begin = 0
    elif not length:
        begin = document.get("step", 0)
    return Schedule(options.rate, options.decay, begin, options.anneal)


def _traits(options: Options, pool: Pool) -> dict:
    """Return what the state of the data depends on."""
    return {
        "lanes": options.lanes,
        "frames": options.frames,
        "modes": options.modes,
        "loss": options.loss,
        "augment": options.augment,
        **({"teacher": options.teacher.name} if options.teacher else {}),
        "pool": [len(pool.audio[stem]) for stem in STEMS],
    }


def _own(document: dict, traits: dict, trainer: Trainer) -> tuple[dict | None, str]:
    """Return what a checkpoint has of this process, None where it does not fit, and what there is to say of it."""
    processes, before = document.get("processes"), document.get("traits", {})
    if not processes:
        return None, "; it has no state of the data, which begin anew"
    if changed := [name for name in traits if before.get(name) != traits[name]]:
        return None, f"; the data begin anew: {', '.join(changed)} changed"
    if trainer.global_rank >= len(processes):
        return None, ""
    other = trainer.world_size - len(processes)
    return processes[trainer.global_rank], f"; {other} more processes begin with new data" if other > 0 else ""


def _watch(options: Options, corpus: Corpus, report: Report) -> list[Watch]:
    try:
        excerpts = corpus.excerpts("valid")[:_EXCERPTS]
    except HostError as error:
        report.say(f"no validation: {error}")
        return []
    minutes = options.valid_minutes, options.picture_minutes
    return [Watch(excerpts, options.run, report, *(60 * m for m in minutes))]


def _trainer(options: Options, callbacks: list) -> Trainer:
    several = options.devices * options.nodes > 1
    try:
        return Trainer(
            accelerator=options.accelerator,
            devices=options.devices,
            num_nodes=options.nodes,
            strategy="ddp" if several else "auto",
            precision="bf16-mixed" if options.precision == "bf16" else "32-true",
            max_epochs=1,
            gradient_clip_val=CLIP,
            callbacks=callbacks,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
            num_sanity_val_steps=0,
        )
    except (RuntimeError, ValueError) as error:
        raise HostError(f"this machine cannot train so ({str(error).splitlines()[0]}); see --accelerator") from None


@torch.no_grad()
def measure_features(network: LiveNetwork, data: Remix) -> None:
    """Give the network the mean and the scale of its features."""
    everything = torch.ones(len(data.scenes), 1, len(STEMS))
    powers = [band_sums(*data.next(), everything, network.bands.edges)[1] for _ in range(_STATISTICS)]
    sample = network.scaled(np.concatenate(powers))
    network.feature_mean.copy_(sample.mean((0, 1)))
    network.feature_scale.copy_(1 / sample.std((0, 1)).clamp(min=0.1))
