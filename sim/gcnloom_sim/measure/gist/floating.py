# SPDX-License-Identifier: Apache-2.0
"""GIST in 32-bit floating point: the rounds of the mode, the golden model as every worker."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gcnloom.graphs.graph import Graph, gcn_norm
from gcnloom.parallel.rounds import Rounds
from gcnloom.training.options import Options
from gcnloom.training.weights import first_weights
from gcnloom_sim import golden
from gcnloom_sim.measure.accuracy import dropped

__all__ = ["LOOKS", "Look", "train_gist_float"]

Array = NDArray[np.float32]
LOOKS = 20
"""Looks at the whole network that a training is followed by, at most."""


@dataclass(frozen=True, kw_only=True)
class Look:
    """What the whole network showed after some local epochs.

    Attributes
    ----------
    epoch : int
        Local epochs done: those of each worker.
    val, test : float
        Accuracies.
    """

    epoch: int
    val: float
    test: float


class _Problem:
    """A graph in float32."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.adjacency = gcn_norm(graph.adjacency).astype(np.float32)
        self.features: Any = graph.features.astype(np.float32)

    def steps(self, weights: Sequence[Array], options: Options) -> Iterator[list[Array]]:
        """Train from these weights on, as a worker does for a round; yield them after each step."""
        graph, optimiser = self.graph, options.make_optimiser()
        network = options.network(graph.features.shape[1], graph.classes)
        order = np.arange(graph.nodes)
        now = [array.astype(np.float32) for array in weights]
        for step in range(options.epochs):
            masks = dropped(network, order, options.seed, step)
            result = golden.forward(self.adjacency, self.features, now, masks)
            slopes = golden.backward(self.adjacency, now, result, graph.labels, graph.train, masks)
            stepped = optimiser.step(
                [array.astype(np.float64) for array in now],
                [array.astype(np.float64) for array in slopes],
            )
            now = [array.astype(np.float32) for array in stepped]
            yield now

    def look(self, weights: Sequence[Array], epoch: int) -> Look:
        """Look at the whole network."""
        graph = self.graph
        logits = golden.forward(self.adjacency, self.features, weights).logits
        val, test = (
            golden.accuracy(logits, graph.labels, nodes) for nodes in (graph.val, graph.test)
        )
        return Look(epoch=epoch, val=val, test=test)


def train_gist_float(
    graph: Graph, options: Options, workers: int, local_iterations: int
) -> Iterator[Look]:  # fmt: skip
    """Train as :class:`gcnloom.parallel.gist.GistTrainer` does; yield looks, one at the end.

    Several workers are looked at after whole rounds, when their parts are put together; one after
    any epoch. Groups, first weights and dropout's draws are those of the mode on a device that has
    the nodes in their order.
    """
    rounds, problem = Rounds.of(options, workers, local_iterations), _Problem(graph)
    network = options.network(graph.features.shape[1], graph.classes)
    weights = [array.astype(np.float32) for array in first_weights(network, options.seed)]
    done, looked = 0, 0
    for number in range(rounds.count):
        groups, epochs = rounds.groups(number), rounds.iterations(number)
        trainings = []
        for worker in range(workers):
            local = replace(
                options, hidden=rounds.width(worker), epochs=epochs,
                seed=rounds.local_seed(number, worker),
            )  # fmt: skip
            trainings.append(problem.steps(groups.gather(weights, worker), local))
        for step, parts in enumerate(zip(*trainings, strict=True), start=1):
            done += 1
            for worker, part in enumerate(parts):
                groups.scatter(weights, worker, part)
            due = done == rounds.local_epochs or (done - looked) * LOOKS >= rounds.local_epochs
            if due and (workers == 1 or step == epochs):
                looked = done
                yield problem.look(weights, done)
