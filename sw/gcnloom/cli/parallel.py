# SPDX-License-Identifier: Apache-2.0
"""``gcnloom train --parallel``: workers, each with a device."""

import argparse
import time
from dataclasses import asdict
from typing import Any

from gcnloom.cli.options import open_device
from gcnloom.cli.sampling import add_sampling, sampling_of
from gcnloom.cli.start import Start, interrupted
from gcnloom.device import Device
from gcnloom.errors import ConfigError
from gcnloom.parallel.communicator import Communicator
from gcnloom.parallel.gist import GistTrainer
from gcnloom.parallel.launch import device_of, open_in_turn, run_workers
from gcnloom.parallel.mpi import launched, world
from gcnloom.parallel.outcome import gist_result
from gcnloom.parallel.pipeline import Pipeline
from gcnloom.parallel.rounds import GIST, LOCAL_ITERATIONS, check_gist
from gcnloom.parallel.trainer import KEEP_EVERY, MODES
from gcnloom.sampling.modes import (
    EVERY_MODE,
    TogetherTrainer,
    check_together,
    summarise,
    trainer_together,
)
from gcnloom.sampling.options import SAMPLED_MODES
from gcnloom.training.checkpoint import save_checkpoint
from gcnloom.training.epoch import Epoch
from gcnloom.training.result import result

__all__ = [
    "add_parallel",
    "check_parallel",
    "check_rounds",
    "document_of",
    "pipeline_of",
    "rounds_of",
    "shown_epochs",
    "speaks",
    "train_parallel",
    "trainer_of",
]

CHOICES = ("single", *EVERY_MODE, GIST)


def add_parallel(parser: argparse.ArgumentParser) -> None:
    """Add the options of training in parallel."""
    parser.add_argument(
        "--parallel", default="single", choices=CHOICES,
        help="how several devices share the work: mop by features and by nodes in turn, partition "
        "by a METIS partition of the nodes, minibatch by a batch for each, cooperative by a part "
        "of one batch for each, gist by parts of the network that train apart; default single",
    )  # fmt: skip
    parser.add_argument(
        "--local-iterations", type=int, metavar="N",
        help="epochs of a round of --parallel gist, after which neurons are dealt anew; "
        f"default {LOCAL_ITERATIONS}",
    )  # fmt: skip
    parser.add_argument(
        "--evaluate-every", type=int, metavar="N",
        help="epochs of sampled batches, or rounds of --parallel gist, between looks at the "
        "validation nodes with the whole network; default 0, none on the way",
    )  # fmt: skip
    parser.add_argument(
        "--workers", type=int, metavar="N",
        help="devices of a training in parallel, each in a thread; under mpiexec each process "
        "is one. --device then takes one name for all or one for each, by commas",
    )  # fmt: skip
    parser.add_argument(
        "--staleness", type=int, default=0, metavar="S",
        help="epochs that rows from other workers are old under --parallel mop and partition, so "
        "that nobody waits for them; default 0, synchronous",
    )  # fmt: skip
    parser.add_argument(
        "--chunks", type=int, default=1, metavar="N",
        help="parts, up to 8, in which these send what a product makes, the next being multiplied "
        "meanwhile; default 1",
    )  # fmt: skip
    add_sampling(parser)


def pipeline_of(options: argparse.Namespace) -> Pipeline:
    """Return how exchanges go beside products; an error in modes that have no such exchanges."""
    pipeline = Pipeline(staleness=options.staleness, chunks=options.chunks)
    if options.parallel not in MODES:
        pipeline.require_none(options.parallel)
    return pipeline


def speaks(options: argparse.Namespace) -> bool:
    """Whether this process reports: of those of a training in parallel, the first."""
    return options.parallel == "single" or not launched() or world().rank == 0


def shown_epochs(options: argparse.Namespace) -> int:
    """Epochs that there will be to show: those of each worker, where they are divided."""
    epochs: int = options.epochs
    if options.parallel != GIST:
        return epochs
    workers: int = options.workers or (world().size if launched() else 1)
    return max(1, epochs // max(1, workers))


def train_parallel(options: argparse.Namespace, start: Start) -> dict[str, Any] | None:
    """Train on several devices; None if interrupted."""
    trainers: list[TogetherTrainer | GistTrainer] = []

    def work(communicator: Communicator) -> dict[str, Any]:
        return _work(options, start, communicator, trainers)

    check_parallel(options, start)
    try:
        return run_workers(options.workers, work)
    except KeyboardInterrupt:
        start.progress.close()
        if not trainers:
            raise
        interrupted(trainers[0], start.path, options.arguments)
        return None


def check_parallel(options: argparse.Namespace, start: Start) -> None:
    """Raise ConfigError about what these options, workers and graph do not go together with."""
    sampling = sampling_of(options)
    pipeline_of(options)
    if options.parallel != GIST:
        check_together(options.parallel, sampling, start.settings, start.graph, options.workers)
    elif options.workers is not None:
        check_gist(start.settings, start.graph, options.workers, **rounds_of(options))


def _work(
    options: argparse.Namespace, start: Start, communicator: Communicator,
    trainers: list[TogetherTrainer | GistTrainer],
) -> dict[str, Any]:  # fmt: skip
    """Train as one worker; the first keeps the checkpoint and is told of epochs."""
    leads = communicator.rank == 0
    name = device_of(options.device, communicator.rank, communicator.size)
    mine = argparse.Namespace(**vars(options) | {"device": name})
    with open_in_turn(communicator, lambda: open_device(mine, start.progress)) as device:
        if leads:
            start.progress.stage("partitioning, scheduling and lowering")
        trainer = trainer_of(options, start, device, communicator)
        start.begin_with(trainer)
        build = time.perf_counter() - start.begin
        if leads:
            trainers.append(trainer)

        def watch(epoch: Epoch) -> None:
            if leads:
                start.progress.epoch(epoch)
                if options.checkpoint_every and epoch.epoch % options.checkpoint_every == 0:
                    save_checkpoint(start.path, trainer.checkpoint())

        try:
            trainer.run(watch)
        except KeyboardInterrupt:  # Under mpiexec; a thread is not interrupted.
            if leads:
                interrupted(trainer, start.path, options.arguments)
            raise
        if leads:
            start.keep(trainer, options.save_weights)
        link = {"streamed": device.window.streaming, **asdict(device.window.moved)}
        named = {"device": options.device, "config": mine.config}
        return document_of(trainer, begin=start.begin, build=build, **named) | {"link": link}


def document_of(trainer: TogetherTrainer | GistTrainer, **named: Any) -> dict[str, Any]:
    """Return the results of a finished training; all workers call it together."""
    if isinstance(trainer, GistTrainer):
        return gist_result(trainer, **named)
    return result(trainer, **named) | {"parallel": summarise(trainer)}


def trainer_of(
    options: argparse.Namespace, start: Start, device: Device, communicator: Communicator
) -> TogetherTrainer | GistTrainer:
    """Return a worker's trainer of the mode that the options name; all make theirs together."""
    if options.parallel == GIST:
        return GistTrainer(start.graph, start.settings, device, communicator, **rounds_of(options))
    return trainer_together(
        start.graph, start.settings, device, communicator, mode=options.parallel,
        sampling=sampling_of(options), pipeline=pipeline_of(options),
        keep_every=options.checkpoint_every or KEEP_EVERY,
    )  # fmt: skip


def check_rounds(options: argparse.Namespace) -> None:
    """Refuse what rounds are told by in other modes, but for what batches are told by too."""
    if options.local_iterations is not None and options.parallel != GIST:
        raise ConfigError(
            f"--local-iterations {options.local_iterations} is for training by sub-networks; "
            "try --parallel gist"
        )
    every = options.evaluate_every
    if every is not None and options.parallel not in (GIST, *SAMPLED_MODES):
        raise ConfigError(
            f"--evaluate-every {every} is for sampled batches and for sub-networks; "
            "try --validate-every, or --parallel minibatch"
        )


def rounds_of(options: argparse.Namespace) -> dict[str, int]:
    """Return how rounds are asked for, or the default."""
    iterations, every = options.local_iterations, options.evaluate_every
    return {
        "local_iterations": LOCAL_ITERATIONS if iterations is None else iterations,
        "evaluate_every": 0 if every is None else every,
    }
