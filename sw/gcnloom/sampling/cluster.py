# SPDX-License-Identifier: Apache-2.0
"""Cluster-GCN: a batch is some parts of a METIS partition, with every edge between its vertices.

Chiang et al., "Cluster-GCN: an efficient algorithm for training deep and large graph convolutional
networks", 2019. The batch's adjacency is normalised for itself.
"""

import numpy as np
from numpy.typing import NDArray

from gcnloom.errors import ConfigError
from gcnloom.graphs.graph import Graph, gcn_norm
from gcnloom.sampling.draws import deal_order
from gcnloom.sampling.samplers import Batches, Sampler
from gcnloom.sampling.topology import Edges, Topology

__all__ = ["Cluster", "ClusterBatches"]

Vertices = NDArray[np.int64]


class ClusterBatches(Batches):
    """Clusters that have training nodes, in a new random order each epoch, so many at a time.

    Parameters
    ----------
    membership : NDArray[np.int64]
        Cluster of each vertex.
    train : NDArray[np.int64]
        Possibly with repetitions.
    each : int
        Clusters of each worker in an iteration.
    workers : int
    seed : int
    """

    def __init__(
        self, membership: Vertices, train: Vertices, each: int, workers: int, seed: int
    ) -> None:
        self._membership, self._train, self._each, self._seed = membership, train, each, seed
        self._clusters = np.unique(membership[train])
        self._size = each * workers
        self.per_epoch = -(-len(self._clusters) // self._size)

    def clusters(self, iteration: int, workers: int) -> list[Vertices]:
        """Clusters of an iteration, dealt to so many workers; there may be none for some."""
        epoch, number = divmod(iteration, self.per_epoch)
        order = deal_order(self._seed, epoch, self._clusters)
        chosen = self._clusters[order[number * self._size : (number + 1) * self._size]]
        each = self._size // workers
        return [chosen[rank * each : (rank + 1) * each] for rank in range(workers)]

    def parts(self, iteration: int, workers: int) -> list[Vertices]:
        """Training nodes of an iteration, dealt to so many workers; a part may be empty."""
        return [
            self._train[np.isin(self._membership[self._train], clusters)]
            for clusters in self.clusters(iteration, workers)
        ]


class Cluster(Sampler):
    """Keeps the edges between vertices of an iteration's clusters.

    Parameters
    ----------
    graph : Graph
    membership : NDArray[np.int64]
        Cluster of each vertex.
    batches : ClusterBatches
    share : tuple of int
        Which of how many shares of an iteration's clusters are a batch.
    """

    def __init__(
        self, graph: Graph, membership: Vertices, batches: ClusterBatches, share: tuple[int, int]
    ) -> None:
        if not 0 <= share[0] < share[1]:
            raise ConfigError(f"share={share} is none; try (0, 1)")
        self._graph, self._membership, self._batches = graph, membership, batches
        self._share = share
        self._last: tuple[int, Vertices, Topology] | None = None

    def edges(self, targets: Vertices, layer: int, iteration: int) -> Edges:
        """Edges that are kept into `targets`, loops included; the same in every layer."""
        vertices, topology = self._induced(iteration)
        local = np.searchsorted(vertices, targets)
        between, loops = topology.into(local), np.arange(len(targets))
        target = np.concatenate([between.target, loops])
        order = np.argsort(target, kind="stable")
        return Edges(
            target=target[order],
            source=np.concatenate([vertices[between.source], targets])[order],
            weight=np.concatenate([between.weight, topology.loops[local]])[order],
        )

    def _induced(self, iteration: int) -> tuple[Vertices, Topology]:
        """Vertices of an iteration's clusters, and the graph between them."""
        if self._last is None or self._last[0] != iteration:
            rank, workers = self._share
            clusters = self._batches.clusters(iteration, workers)[rank]
            vertices = np.flatnonzero(np.isin(self._membership, clusters))
            induced = gcn_norm(self._graph.adjacency[vertices][:, vertices])
            self._last = iteration, vertices, Topology.normalised(induced)
        return self._last[1:]
