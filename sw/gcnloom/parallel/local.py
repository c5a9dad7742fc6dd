# SPDX-License-Identifier: Apache-2.0
"""Local training of a sub-network: ordinary trainings one after the other on one device."""

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gcnloom.device import Device
from gcnloom.graphs.graph import Graph
from gcnloom.training.device_trainer import trainer_for
from gcnloom.training.epoch import Epoch
from gcnloom.training.options import Options
from gcnloom.training.passes import PASSES
from gcnloom.training.trainer import Trainer

__all__ = ["LocalTraining", "Trained"]

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Trained:
    """What a round of local training came to.

    Attributes
    ----------
    weights : list of NDArray[np.float64]
        After the last epoch, by layer.
    history : list of Epoch
    counters : Counter[str]
        What the device counted.
    passes : Counter[str]
        What it counted of training, without the inference that ends it.
    macs : Counter[str]
        Multiplications of all passes that no exact engine could leave out: ``necessary``; and
        ``unsampled``, were every pass to compute all rows.
    clipped : dict[str, int]
        Weights and momenta that did not fit, by layer, where the device updates them.
    seconds : float
        Time the device took.
    """

    weights: list[Array]
    history: list[Epoch]
    counters: Counter[str]
    passes: Counter[str]
    macs: Counter[str]
    clipped: dict[str, int]
    seconds: float


class LocalTraining:
    """Trainings of one shape of network on one graph and device, lowered once.

    Each begins as if it were the first: what it comes to follows from weights and seed alone.

    Parameters
    ----------
    graph : Graph
        Its validation nodes are not looked at.
    options : Options
        Of the sub-network; `epochs` are the most of any training.
    device : Device
        Its memory is cleared.

    Attributes
    ----------
    trainer : Trainer
    """

    def __init__(self, graph: Graph, options: Options, device: Device) -> None:
        self.trainer: Trainer = trainer_for(_without_validation(graph), options, device)

    def train(self, weights: list[Array], *, seed: int, epochs: int) -> Trained:
        """Train from these weights on."""
        trainer, engine = self.trainer, self.trainer.engine
        before, runs, seconds = self._total(), Counter(engine.runs), engine.seconds
        inferred = Counter(engine.counters["infer"])
        clipped = Counter(trainer.clipped)
        trainer.restart(weights, seed=seed, epochs=epochs)
        trainer.run()
        macs = Counter(
            {
                name: sum(counts[part] * (engine.runs[part] - runs[part]) for part in PASSES)
                for name, counts in (
                    ("necessary", engine.necessary_macs), ("unsampled", engine.unsampled_macs),
                )
            }
        )  # fmt: skip
        counters = self._total() - before
        return Trained(
            weights=trainer.weights, history=trainer.history, counters=counters, macs=macs,
            passes=counters - (engine.counters["infer"] - inferred),
            clipped=dict(Counter(trainer.clipped) - clipped),
            seconds=engine.seconds - seconds,
        )  # fmt: skip

    def _total(self) -> Counter[str]:
        return sum(self.trainer.engine.totals().values(), Counter())


def _without_validation(graph: Graph) -> Graph:
    return replace(graph, val=np.zeros(0, dtype=np.int64))
