# SPDX-License-Identifier: Apache-2.0
"""Samplers: which training nodes a batch has, and which edges into its vertices it keeps."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from gcnloom.errors import ConfigError
from gcnloom.parallel.shares import even_shares
from gcnloom.sampling.draws import Draws, deal_order
from gcnloom.sampling.topology import Edges, Topology

__all__ = ["Batches", "Labor", "Neighbour", "NodeBatches", "Sampler", "ranks_within"]

Vertices = NDArray[np.int64]
EVERY_LAYER = 0


class Sampler(ABC):
    """Keeps some of the edges into a vertex, and its loop.

    What is kept of a vertex depends on the vertex, the layer and the iteration alone.
    """

    @abstractmethod
    def edges(self, targets: Vertices, layer: int, iteration: int) -> Edges:
        """Edges that are kept into `targets`, loops included.

        Parameters
        ----------
        targets : NDArray[np.int64]
            Vertices, each once.
        layer : int
            From 1 on, the layer whose outputs the targets are.
        iteration : int
        """


@dataclass(frozen=True, kw_only=True, eq=False)
class _NodeWise(Sampler):
    """Keeps about `fanout` edges into each vertex.

    The weights of those kept grow by degree over edges kept, so that what a vertex hears keeps
    its mean: exact where all are kept, unbiased where a fixed number is drawn, and a ratio
    estimator where the number is itself random.

    Parameters
    ----------
    topology : Topology
    fanout : tuple of int
        Of each layer, the one next to the input first.
    draws : Draws
    """

    topology: Topology
    fanout: tuple[int, ...]
    draws: Draws

    def __post_init__(self) -> None:
        if not self.fanout or any(type(count) is not int or count < 1 for count in self.fanout):
            raise ConfigError(
                f"fanout={self.fanout!r} is no number from 1 on for each layer; try (10, 10)"
            )

    def edges(self, targets: Vertices, layer: int, iteration: int) -> Edges:
        """Edges that are kept into `targets`, loops included."""
        there = self.topology.into(targets)
        degree = self.topology.degree(targets)
        kept = there.where(self._keeps(targets, there, degree, layer, iteration))
        count = np.bincount(kept.target, minlength=len(targets))
        loops = np.arange(len(targets))
        grown = kept.weight * (degree[kept.target] / count[kept.target])
        target = np.concatenate([kept.target, loops])
        order = np.argsort(target, kind="stable")
        return Edges(
            target=target[order],
            source=np.concatenate([kept.source, targets])[order],
            weight=np.concatenate([grown, self.topology.loops[targets]])[order],
        )

    @abstractmethod
    def _keeps(
        self, targets: Vertices, there: Edges, degree: Vertices, layer: int, iteration: int
    ) -> NDArray[np.bool_]:
        """Whether each edge that is there is kept."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Neighbour(_NodeWise):
    """`fanout` neighbours of each vertex, drawn without replacement, or all if there are fewer.

    Hamilton, Ying and Leskovec, "Inductive representation learning on large graphs" (GraphSAGE),
    2017. Each edge draws a variable; the smallest of each vertex are kept.
    """

    def _keeps(
        self, targets: Vertices, there: Edges, degree: Vertices, layer: int, iteration: int
    ) -> NDArray[np.bool_]:
        limit = self.fanout[layer - 1]
        kept = degree[there.target] <= limit
        chosen = np.flatnonzero(~kept)
        target = there.target[chosen]
        normals = self.draws.normals(iteration, layer, targets[target], there.source[chosen])
        order = np.lexsort((normals, target))
        kept[chosen[order]] = ranks_within(target[order]) < limit
        return kept


@dataclass(frozen=True, kw_only=True, eq=False)
class Labor(_NodeWise):
    """LABOR-0: source t of vertex s is kept iff ``r[t] <= fanout / degree[s]``.

    Balin and Çatalyürek, "Layer-neighbor sampling", 2023. One uniform variable of each source
    serves all of its targets, in all layers, which therefore agree on sources. Of each vertex
    `fanout` edges are kept on average. The normal variable behind r is compared with a table over
    the degree.
    """

    def _keeps(
        self, targets: Vertices, there: Edges, degree: Vertices, layer: int, iteration: int
    ) -> NDArray[np.bool_]:
        limit = self.fanout[layer - 1]
        table = ndtri(np.minimum(1.0, limit / np.maximum(1, np.arange(degree.max(initial=0) + 1))))
        sources, place = np.unique(there.source, return_inverse=True)
        normals = self.draws.normals(iteration, EVERY_LAYER, sources)
        kept: NDArray[np.bool_] = normals[place] <= table[degree[there.target]]
        return kept


class Batches(ABC):
    """Which training nodes each iteration learns from.

    Attributes
    ----------
    per_epoch : int
        Iterations of an epoch.
    """

    per_epoch: int

    @abstractmethod
    def parts(self, iteration: int, workers: int) -> list[Vertices]:
        """Training nodes of an iteration, dealt to so many workers; a part may be empty."""


class NodeBatches(Batches):
    """Training nodes in a new random order each epoch, so many at a time; the last may be fewer.

    Parameters
    ----------
    train : NDArray[np.int64]
        Possibly with repetitions.
    size : int
        Nodes of an iteration, of all workers together.
    seed : int
    """

    def __init__(self, train: Vertices, size: int, seed: int) -> None:
        self._train, self._size, self._seed = train, size, seed
        self.per_epoch = -(-len(train) // size)

    def parts(self, iteration: int, workers: int) -> list[Vertices]:
        """Training nodes of an iteration, dealt to so many workers; a part may be empty."""
        epoch, number = divmod(iteration, self.per_epoch)
        places = np.arange(len(self._train))
        order = deal_order(self._seed, epoch, places)
        chosen = self._train[order[number * self._size : (number + 1) * self._size]]
        shares = even_shares(len(chosen), workers)
        return [chosen[share.start : share.stop] for share in shares]


def ranks_within(groups: NDArray[np.integer]) -> Vertices:
    """Place of each element among those of its group, groups being consecutive.

    Examples
    --------
    >>> ranks_within(np.array([0, 0, 3, 3, 3])).tolist()
    [0, 1, 0, 1, 2]
    """
    place = np.arange(len(groups))
    fresh = np.ones(len(groups), dtype=bool)
    fresh[1:] = groups[1:] != groups[:-1]
    return place - np.maximum.accumulate(np.where(fresh, place, 0))
