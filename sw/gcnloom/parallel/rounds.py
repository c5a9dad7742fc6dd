# SPDX-License-Identifier: Apache-2.0
"""Rounds of GIST: which neurons each worker trains, for how long, and with which seed.

Wolfe et al., "GIST: Distributed Training for Large-Scale Graph Convolutional Networks" (2021).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from gcnloom.errors import ConfigError, DataError
from gcnloom.graphs.graph import Graph
from gcnloom.parallel.shares import even_shares
from gcnloom.training.options import Options
from gcnloom_spec.random import threefry

__all__ = ["GIST", "LOCAL_ITERATIONS", "Groups", "Rounds", "check_gist"]

GIST = "gist"
"""Name of the mode."""
Number = TypeVar("Number", bound=np.floating)
Neurons = NDArray[np.int64]
LOCAL_ITERATIONS = 10
"""Epochs of a round, where nothing else is asked for."""
SEEDS = 0
"""Second word of the counters that seeds are drawn with; those of a layer's permutation have the
layer's number. Dropout and rounding never draw with these: they belong to tensor 0, raw sums."""


@dataclass(frozen=True, kw_only=True)
class Groups:
    """Neurons of each hidden layer, dealt to workers: each belongs to exactly one.

    Attributes
    ----------
    layers : tuple of tuple of NDArray[np.int64]
        ``layers[i][j]`` are the neurons of hidden layer `i`, from 0 on, that worker `j` trains,
        ascending.
    """

    layers: tuple[tuple[Neurons, ...], ...]

    def gather(self, weights: Sequence[NDArray[Number]], worker: int) -> list[NDArray[Number]]:
        """Copy a worker's sub-network out of all weights.

        Parameters
        ----------
        weights : sequence of NDArray
            By layer, shape ``(inner, outer)``.
        worker : int

        Returns
        -------
        list of NDArray
            ``weights[i][inputs, outputs]`` of the worker's neurons; inputs of the first layer and
            outputs of the last are not divided.
        """
        return [
            array[place]
            for array, place in zip(weights, self._places(weights, worker), strict=True)
        ]

    def scatter(
        self, weights: Sequence[NDArray[Number]], worker: int, part: Sequence[NDArray[Number]]
    ) -> None:  # fmt: skip
        """Put a worker's sub-network back to its places in all weights, which are changed."""
        places = self._places(weights, worker)
        for array, place, mine in zip(weights, places, part, strict=True):
            array[place] = mine

    def _places(
        self, weights: Sequence[NDArray[Number]], worker: int
    ) -> list[tuple[NDArray[np.intp], ...]]:  # fmt: skip
        sides = [np.arange(weights[0].shape[0]), *(layer[worker] for layer in self.layers)]
        sides.append(np.arange(weights[-1].shape[1]))
        return [np.ix_(inner, outer) for inner, outer in pairwise(sides)]


@dataclass(frozen=True, kw_only=True)
class Rounds:
    """A training by sub-networks, cut into rounds.

    The epochs are divided among the workers: each trains its part of the network for
    ``epochs // workers``, `local_iterations` a round, the last round taking what is left.

    Parameters
    ----------
    workers : int
        Parts of every hidden layer, m in the paper.
    local_iterations : int
        Steps of a round, ζ in the paper.
    epochs : int
        Of all workers together.
    hidden, hidden_layers : int
        Neurons of a hidden layer, and how many of those.
    seed : int

    Raises
    ------
    ConfigError
        There is no neuron or no epoch for some worker.
    """

    workers: int
    local_iterations: int
    epochs: int
    hidden: int
    hidden_layers: int
    seed: int

    def __post_init__(self) -> None:
        for name in ("workers", "local_iterations"):
            value = getattr(self, name)
            if type(value) is not int or value < 1:
                raise ConfigError(f"{name}={value!r} is no number from 1 on; try 1")
        if self.workers == 1:
            return
        if not self.hidden_layers:
            raise ConfigError(
                f"a network without hidden layers cannot be divided among workers={self.workers}; "
                "try layers=2"
            )
        if self.workers > self.hidden:
            raise ConfigError(
                f"workers={self.workers} are more than the {self.hidden} neurons of a hidden "
                f"layer; try workers={self.hidden}, or hidden={self.workers}"
            )
        if self.workers > self.epochs:
            raise ConfigError(
                f"epochs={self.epochs} divided among workers={self.workers} leave none; "
                f"try epochs={self.workers}"
            )

    @classmethod
    def of(cls, options: Options, workers: int, local_iterations: int) -> "Rounds":
        """Return the rounds of a training with these options."""
        return cls(
            workers=workers, local_iterations=local_iterations, epochs=options.epochs,
            hidden=options.hidden, hidden_layers=options.layers - 1, seed=options.seed,
        )  # fmt: skip

    @property
    def local_epochs(self) -> int:
        """Epochs that each worker trains in all."""
        return self.epochs // self.workers

    @property
    def count(self) -> int:
        """Number of rounds."""
        return -(-self.local_epochs // self.local_iterations)

    def iterations(self, number: int) -> int:
        """Epochs of a round, the first being number 0."""
        return min(self.local_iterations, self.local_epochs - number * self.local_iterations)

    def width(self, worker: int) -> int:
        """Neurons of each hidden layer that a worker trains, in every round as many."""
        return len(even_shares(self.hidden, self.workers)[worker])

    def groups(self, number: int) -> Groups:
        """Draw who trains which neurons in a round, the same on every worker.

        Each layer's neurons are permuted by sorting random words of 64 bits.
        """
        layers = []
        for layer in range(1, self.hidden_layers + 1):
            high, low = self._words(number, layer, self.hidden)
            order = np.argsort((high << np.uint64(32)) | low, kind="stable")
            shares = even_shares(self.hidden, self.workers)
            layers.append(tuple(np.sort(order[share.start : share.stop]) for share in shares))
        return Groups(layers=tuple(layers))

    def local_seed(self, number: int, worker: int) -> int:
        """Seed of what a worker draws in a round.

        The first worker's first is the training's, so that one worker's only round is an ordinary
        training.
        """
        if number == worker == 0:
            return self.seed
        return int(self._words(number, SEEDS, worker + 1)[0][worker])

    def _words(
        self, number: int, purpose: int, count: int
    ) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:  # fmt: skip
        index = np.arange(count, dtype=np.uint32)
        high, low = threefry((self.seed, number), (index, np.full_like(index, purpose)))
        return high.astype(np.uint64), low.astype(np.uint64)


def check_gist(
    options: Options, graph: Graph, workers: int, local_iterations: int = LOCAL_ITERATIONS,
    evaluate_every: int = 0,
) -> None:  # fmt: skip
    """Raise ConfigError about what cannot be trained by sub-networks."""
    options.require_gcn(GIST)
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
