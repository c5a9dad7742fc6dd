# SPDX-License-Identifier: Apache-2.0
"""GIST: every worker trains a part of the network's neurons by itself, drawn anew each round.

Wolfe et al., "GIST: Distributed Training for Large-Scale Graph Convolutional Networks" (2021).
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from gcnloom.device import Device
from gcnloom.errors import ConfigError, DataError
from gcnloom.graphs.graph import Graph
from gcnloom.parallel.alike import require_alike
from gcnloom.parallel.communicator import Communicator
from gcnloom.parallel.local import LocalTraining, Trained
from gcnloom.parallel.rounds import Rounds
from gcnloom.training.engine import Engine
from gcnloom.training.epoch import Epoch
from gcnloom.training.loss import Judge
from gcnloom.training.options import Options
from gcnloom.training.trainer import first_weights

__all__ = ["KINDS", "GistTrainer", "check_gist"]

Array = NDArray[np.float64]
KINDS = ("scatter", "gather", "statistics")
"""Classes of messages: sub-networks to the workers and back, and what their epochs showed."""


class GistTrainer:
    """Train a GCN as sub-networks that share no neuron, each on a worker's own device.

    The first worker holds all weights. A round draws groups of neurons, sends each worker the
    weights between its own, which it trains by itself, and puts them back to their places. The
    epochs are divided among the workers. Networks here have no biases, so that nothing is shared
    but for what the first and the last layer join to.

    Each worker makes one, with its own device, and calls the same methods.

    Parameters
    ----------
    graph : Graph
        The same on every worker.
    options : Options
        Likewise; the optimiser begins anew each round, early stopping is not for parts.
    device : Device
        Its memory is cleared.
    communicator : Communicator
    local_iterations : int
        Epochs of a round.
    evaluate_every : int
        Rounds between looks of the first worker's device at the validation nodes, with all of
        the network, which is lowered for it each time; 0: none.

    Attributes
    ----------
    rounds : Rounds
    weights : list of NDArray[np.float64]
        Of all of the network after the last whole round, on the first worker; none on others.
    history : list of Epoch
        By local epoch, on the first worker: mean loss and accuracy of the sub-networks; of the
        last epoch of a round that was looked at also the whole network's on the validation nodes;
        `cycles` of a whole round, of its slowest worker, with its last epoch.
    counters : Counter[str]
        What this worker's device counted in local training.
    done : int
        Whole rounds.

    Raises
    ------
    ConfigError
        Neurons or epochs do not suffice, an option is not for parts, or workers differ.
    """

    def __init__(
        self, graph: Graph, options: Options, device: Device, communicator: Communicator,
        *, local_iterations: int, evaluate_every: int = 0,
    ) -> None:  # fmt: skip
        check_gist(options, graph, communicator.size, local_iterations, evaluate_every)
        self.rounds = Rounds.of(options, communicator.size, local_iterations)
        self.graph, self.options, self.device = graph, options, device
        self.communicator, self._evaluate_every = communicator, evaluate_every
        require_alike(
            communicator, graph, options, device, mode="gist", local_iterations=local_iterations
        )
        self.network = options.network(graph.features.shape[1], graph.classes)
        self.judge = Judge(graph.labels)
        self.weights = first_weights(self.network, options.seed) if self.leads else []
        self.history: list[Epoch] = []
        self.counters: Counter[str] = Counter()
        self.done = 0
        self._local: LocalTraining | None = None

    @property
    def leads(self) -> bool:
        """Whether this is the first worker."""
        return self.communicator.rank == 0

    @property
    def local_options(self) -> Options:
        """Options of this worker's sub-network."""
        return replace(
            self.options,
            hidden=self.rounds.width(self.communicator.rank), epochs=self.rounds.iterations(0),
        )  # fmt: skip

    def run(self, progress: Callable[[Epoch], None] = lambda _: None) -> None:
        """Train to the last round; `progress` sees every epoch, on the first worker."""
        while self.done < self.rounds.count:
            for epoch in self._round():
                progress(epoch)

    def logits(self) -> Array:
        """Logits of every node, by all of the network on this worker's device, the first.

        Its memory is cleared; shape ``(nodes, classes)``.
        """
        self._local = None
        engine = Engine(
            self.graph, self.network, self.device, sampled=False, serial=self.options.serial,
            mixture=self.options.mixture,
        )  # fmt: skip
        return engine.logits(self.weights)

    def _round(self) -> list[Epoch]:
        """Train one round; return its epochs, on the first worker."""
        number, rounds = self.done, self.rounds
        part = self._scatter()
        if self._local is None:
            self._local = LocalTraining(self.graph, self.local_options, self.device)
        trained = self._local.train(
            part, seed=rounds.local_seed(number, self.communicator.rank),
            epochs=rounds.iterations(number),
        )  # fmt: skip
        self.counters.update(trained.counters)
        self._gather(trained.weights)
        epochs = self._statistics(trained)
        self.done += 1
        if self.leads and self._evaluate_every and not self.done % self._evaluate_every:
            epochs[-1] = self._evaluated(epochs[-1])
        self.history += epochs
        return epochs

    def _scatter(self) -> list[Array]:
        """Send every worker its sub-network; return this one's."""
        size, rank = self.communicator.size, self.communicator.rank
        pieces = [np.zeros(0)] * size
        if self.leads:
            groups = self.rounds.groups(self.done)
            pieces = [_flat(groups.gather(self.weights, worker)) for worker in range(size)]
        shapes = self._shapes(rank)
        count = sum(inner * outer for inner, outer in shapes)
        received = self.communicator.all_to_all("scatter", pieces, [(count,), *[(0,)] * (size - 1)])
        return _parts(received[0], shapes)

    def _gather(self, part: Sequence[Array]) -> None:
        """Put every worker's sub-network back to its places."""
        size = self.communicator.size
        pieces = [_flat(part), *[np.zeros(0)] * (size - 1)]
        shapes = [self._shapes(worker) for worker in range(size)]
        counts = [sum(inner * outer for inner, outer in each) * self.leads for each in shapes]
        received = self.communicator.all_to_all("gather", pieces, [(count,) for count in counts])
        if not self.leads:
            return
        groups = self.rounds.groups(self.done)
        weights = [array.copy() for array in self.weights]
        for worker, flat in enumerate(received):
            groups.scatter(weights, worker, _parts(flat, shapes[worker]))
        self.weights = weights

    def _statistics(self, trained: Trained) -> list[Epoch]:
        """Tell the first worker of a round's epochs; return what they showed, on it."""
        size, count = self.communicator.size, len(trained.history)
        mine = [[epoch.loss, epoch.train, epoch.saturations] for epoch in trained.history]
        mine.append([trained.counters["cycles"], 0.0, 0.0])
        pieces = [np.array(mine, dtype=np.float64), *[np.zeros((0, 3))] * (size - 1)]
        shape = ((count + 1) * self.leads, 3)
        told = np.stack(self.communicator.all_to_all("statistics", pieces, [shape] * size))
        if not self.leads:
            return []
        means, cycles = told[:, :-1].mean(axis=0), int(told[:, -1, 0].max())
        first = self.done * self.rounds.local_iterations + 1
        return [
            Epoch(
                epoch=first + index, loss=float(means[index, 0]), train=float(means[index, 1]),
                val=None, val_loss=None, cycles=cycles * (index == count - 1),
                saturations=int(told[:, index, 2].sum()),
            )
            for index in range(count)
        ]  # fmt: skip

    def _evaluated(self, epoch: Epoch) -> Epoch:
        logits, val = self.logits(), self.graph.val
        loss, _ = self.judge.cross_entropy(logits, val)
        return replace(epoch, val=self.judge.accuracy(logits, val), val_loss=loss)

    def _shapes(self, worker: int) -> list[tuple[int, int]]:
        """Shapes of a worker's weights, by layer."""
        widths = self.network.widths
        hidden = [self.rounds.width(worker)] * (len(widths) - 2)
        return list(pairwise([widths[0], *hidden, widths[-1]]))


def check_gist(
    options: Options, graph: Graph, workers: int, local_iterations: int, evaluate_every: int = 0
) -> None:
    """Raise ConfigError about what cannot be trained by sub-networks."""
    rounds = Rounds.of(options, workers, local_iterations)
    for name in ("patience", "validate_every", "halve_every"):
        value = getattr(options, name)
        if value:
            raise ConfigError(
                f"{name}={value} counts epochs of one training, and each round of parallel='gist' "
                f"is another; try {name}=0"
            )
    if type(evaluate_every) is not int or evaluate_every < 0:
        raise ConfigError(f"evaluate_every={evaluate_every!r} is no number from 0 on; try 0")
    if evaluate_every > rounds.count:
        raise ConfigError(
            f"evaluate_every={evaluate_every} is more than the {rounds.count} rounds; "
            f"try {rounds.count}"
        )
    if evaluate_every and not len(graph.val):
        raise DataError(f"{graph.name} has no validation nodes to look at; try evaluate_every=0")


def _flat(arrays: Sequence[Array]) -> Array:
    return np.concatenate([array.ravel() for array in arrays])


def _parts(flat: Array, shapes: Sequence[tuple[int, int]]) -> list[Array]:
    ends = np.cumsum([inner * outer for inner, outer in shapes])[:-1]
    return [part.reshape(shape) for part, shape in zip(np.split(flat, ends), shapes, strict=True)]
