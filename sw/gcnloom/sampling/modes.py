# SPDX-License-Identifier: Apache-2.0
"""Every way to train on several devices: what is checked, trained with, and summarised."""

from typing import Any

from gcnloom.device import Device
from gcnloom.errors import ConfigError
from gcnloom.graphs.graph import Graph
from gcnloom.parallel.communicator import Communicator
from gcnloom.parallel.pipeline import SYNCHRONOUS, Pipeline
from gcnloom.parallel.summary import summary
from gcnloom.parallel.trainer import KEEP_EVERY, MODES, ParallelTrainer, check_mode
from gcnloom.sampling.options import SAMPLED_MODES, Sampling
from gcnloom.sampling.summary import sampled_summary
from gcnloom.sampling.trainer import MinibatchTrainer
from gcnloom.training.options import Options

__all__ = ["EVERY_MODE", "TogetherTrainer", "check_together", "summarise", "trainer_together"]

EVERY_MODE = (*MODES, *SAMPLED_MODES)
TogetherTrainer = ParallelTrainer | MinibatchTrainer


def check_together(
    mode: str, sampling: Sampling | None, options: Options, graph: Graph, workers: int | None,
    pipeline: Pipeline = SYNCHRONOUS,
) -> None:  # fmt: skip
    """Raise ConfigError about what so many workers, if that is known, cannot train."""
    if mode not in MODES:
        pipeline.require_none(mode)
    if mode in SAMPLED_MODES:
        _given(mode, sampling).check(options, mode)
    elif sampling is not None:
        raise ConfigError(
            f"sampling={sampling} is for batches; try parallel={' or '.join(SAMPLED_MODES)}"
        )
    elif workers is not None:
        check_mode(mode, options, graph, workers)


def trainer_together(
    graph: Graph, options: Options, device: Device, communicator: Communicator, *, mode: str,
    sampling: Sampling | None, pipeline: Pipeline = SYNCHRONOUS, keep_every: int = KEEP_EVERY,
) -> TogetherTrainer:  # fmt: skip
    """Return a worker's trainer; all workers make theirs together.

    Parameters
    ----------
    graph : Graph
    options : Options
    device : Device
    communicator : Communicator
    mode : str
        One of :data:`EVERY_MODE`.
    sampling : Sampling or None
        For modes of sampled batches, and for no others.
    pipeline : Pipeline
        Of the other modes.
    keep_every : int
        Likewise, see :class:`gcnloom.parallel.trainer.ParallelTrainer`.
    """
    check_together(mode, sampling, options, graph, communicator.size, pipeline)
    if sampling is None:
        return ParallelTrainer(graph, options, device, communicator, mode=mode, pipeline=pipeline)
    return MinibatchTrainer(graph, options, device, communicator, mode=mode, sampling=sampling)


def summarise(trainer: TogetherTrainer) -> dict[str, Any]:
    """Summarise what the workers exchanged and did; all call it together."""
    if isinstance(trainer, MinibatchTrainer):
        return sampled_summary(trainer)
    return summary(trainer)


def _given(mode: str, sampling: Sampling | None) -> Sampling:
    if sampling is None:
        raise ConfigError(
            f"parallel={mode!r} needs a way to sample; try sampling=Sampling(fanout=(10, 10))"
        )
    return sampling
