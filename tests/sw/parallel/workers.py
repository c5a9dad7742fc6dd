# SPDX-License-Identifier: Apache-2.0
"""Trainings on one device and on several, for comparison."""

from collections.abc import Callable
from typing import Any

from gcnloom.device import open as open_device
from gcnloom.graphs.graph import Graph
from gcnloom.parallel.launch import open_in_turn
from gcnloom.parallel.summary import summary
from gcnloom.parallel.threads import run_threads
from gcnloom.parallel.trainer import ParallelTrainer
from gcnloom.training.checkpoint import Checkpoint
from gcnloom.training.options import Options
from gcnloom.training.trainer import Trainer

__all__ = ["bits", "options", "together", "trained"]

MEGABYTES = 8
TIMEOUT = 600.0


def options(**changes: Any) -> Options:
    """Few epochs of a narrow network, loss and optimiser on the host."""
    return Options(**{"update": "host", "hidden": 8, "epochs": 2} | changes)


def trained(graph: Graph, settings: Options, spec: str = "model:odd") -> Trainer:
    """Train on one device."""
    with open_device(spec, memory_megabytes=MEGABYTES) as device:
        trainer = Trainer(graph, settings, device)
        trainer.run()
        return trainer


def together(
    graph: Graph, settings: Options, *, mode: str, workers: int,
    spec: str | tuple[str, ...] = "model:odd", earlier: Checkpoint | None = None,
    watch: Callable[[ParallelTrainer], None] = lambda trainer: None, **more: Any,
) -> list[tuple[ParallelTrainer, dict[str, Any]]]:  # fmt: skip
    """Train on several, each with its `spec`; return each one's trainer and what they came to.

    `earlier` is continued, and `watch` sees the first trainer after every epoch.
    """

    def work(communicator):
        def opened():
            mine = spec if isinstance(spec, str) else spec[communicator.rank]
            return open_device(mine, memory_megabytes=MEGABYTES)

        with open_in_turn(communicator, opened) as device:
            trainer = ParallelTrainer(graph, settings, device, communicator, mode=mode, **more)
            if earlier is not None:
                trainer.restore(earlier)
            trainer.run(lambda _: communicator.rank or watch(trainer))
            return trainer, summary(trainer)

    return run_threads(workers, work, timeout=TIMEOUT)


def bits(trainer: Any) -> tuple[bytes, bytes]:
    """Last weights and those kept, bit for bit."""
    return tuple(
        b"".join(array.tobytes() for array in weights)
        for weights in (trainer.weights, trainer.best)
    )
