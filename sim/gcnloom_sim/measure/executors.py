# SPDX-License-Identifier: Apache-2.0
"""The same training on several executors: whether the weights are equal, and what it cost."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from gcnloom.device import open as open_device
from gcnloom.graphs import datasets
from gcnloom.training.device_trainer import trainer_for
from gcnloom.training.options import Options
from gcnloom.training.result import result

__all__ = ["Execution", "executions"]


@dataclass(frozen=True, kw_only=True)
class Execution:
    """A whole training on one executor.

    Attributes
    ----------
    device : str
        As :func:`gcnloom.open` takes it.
    weights_sha256 : str
        Of the weights after the last epoch.
    test : float or None
        Accuracy of the weights kept.
    cycles : int or None
        Of a forward and a backward pass.
    utilisation : float or None
        Effective utilisation over all passes.
    seconds : float
        Training, without building the simulator.
    """

    device: str
    weights_sha256: str
    test: float | None
    cycles: int | None
    utilisation: float | None
    seconds: float


def executions(
    data: str, devices: Iterable[str], options: Options,
    progress: Callable[[str], None] = lambda _: None,
) -> Iterator[Execution]:  # fmt: skip
    """Train on each device in turn, yielding what came of it."""
    graph = datasets.load(data, seed=options.seed)
    for device in devices:
        progress(f"{data}: {device}")
        with open_device(device) as opened:
            begin = time.perf_counter()
            trainer = trainer_for(graph, options, opened)
            trainer.run()
            done = result(trainer, device=device, config="", begin=begin, build=0.0)
        yield Execution(
            device=device,
            weights_sha256=done["weights_sha256"],
            test=done["accuracy"]["test"],
            cycles=done["cycles"]["per_epoch"],
            utilisation=done["effective_utilisation"],
            seconds=done["seconds"]["total"],
        )
