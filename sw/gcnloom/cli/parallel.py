# SPDX-License-Identifier: Apache-2.0
"""``gcnloom train --parallel``: workers, each with a device."""

import argparse
import time
from dataclasses import asdict
from typing import Any

from gcnloom.cli.options import open_device
from gcnloom.cli.sampling import add_sampling, sampling_of
from gcnloom.cli.start import Start, interrupted
from gcnloom.parallel.communicator import Communicator
from gcnloom.parallel.launch import device_of, open_in_turn, run_workers
from gcnloom.parallel.mpi import launched, world
from gcnloom.sampling.modes import (
    EVERY_MODE,
    TogetherTrainer,
    check_together,
    summarise,
    trainer_together,
)
from gcnloom.training.checkpoint import save_checkpoint
from gcnloom.training.epoch import Epoch
from gcnloom.training.result import result

__all__ = ["add_parallel", "speaks", "train_parallel"]

CHOICES = ("single", *EVERY_MODE)


def add_parallel(parser: argparse.ArgumentParser) -> None:
    """Add the options of training in parallel."""
    parser.add_argument(
        "--parallel", default="single", choices=CHOICES,
        help="how several devices share the work: mop by features and by nodes in turn, partition "
        "by a METIS partition of the nodes, minibatch by a batch for each, cooperative by a part "
        "of one batch for each; default single",
    )  # fmt: skip
    parser.add_argument(
        "--workers", type=int, metavar="N",
        help="devices of a training in parallel, each in a thread; under mpiexec each process "
        "is one. --device then takes one name for all or one for each, by commas",
    )  # fmt: skip
    add_sampling(parser)


def speaks(options: argparse.Namespace) -> bool:
    """Whether this process reports: of those of a training in parallel, the first."""
    return options.parallel == "single" or not launched() or world().rank == 0


def train_parallel(options: argparse.Namespace, start: Start) -> dict[str, Any] | None:
    """Train on several devices; None if interrupted."""
    trainers: list[TogetherTrainer] = []

    def work(communicator: Communicator) -> dict[str, Any]:
        return _work(options, start, communicator, trainers)

    check_together(
        options.parallel, sampling_of(options), start.settings, start.graph, options.workers
    )
    try:
        return run_workers(options.workers, work)
    except KeyboardInterrupt:
        start.progress.close()
        if not trainers:
            raise
        interrupted(trainers[0], start.path, options.arguments)
        return None


def _work(
    options: argparse.Namespace, start: Start, communicator: Communicator,
    trainers: list[TogetherTrainer],
) -> dict[str, Any]:  # fmt: skip
    """Train as one worker; the first keeps the checkpoint and is told of epochs."""
    leads = communicator.rank == 0
    name = device_of(options.device, communicator.rank, communicator.size)
    mine = argparse.Namespace(**vars(options) | {"device": name})
    with open_in_turn(communicator, lambda: open_device(mine, start.progress)) as device:
        if leads:
            start.progress.stage("partitioning, scheduling and lowering")
        trainer = trainer_together(
            start.graph, start.settings, device, communicator, mode=options.parallel,
            sampling=sampling_of(options),
        )  # fmt: skip
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
        document = result(
            trainer, device=options.device, config=mine.config, begin=start.begin, build=build
        )
        link = {"streamed": device.window.streaming, **asdict(device.window.moved)}
        return document | {"link": link, "parallel": summarise(trainer)}
