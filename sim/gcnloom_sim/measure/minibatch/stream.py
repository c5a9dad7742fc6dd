# SPDX-License-Identifier: Apache-2.0
"""Batches of a graph and what they fetch, without training on them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gcnloom.graphs import datasets
from gcnloom.parallel.communicator import Alone, Communicator
from gcnloom.parallel.threads import run_threads
from gcnloom.sampling.block import sample_block
from gcnloom.sampling.cache import FeatureCache
from gcnloom.sampling.draws import Draws, owners
from gcnloom.sampling.samplers import Labor, Neighbour, NodeBatches, Sampler
from gcnloom.sampling.topology import Topology

__all__ = ["KINDS", "Ground", "Stream", "ground"]

KINDS = {"labor": Labor, "neighbour": Neighbour}
SEED = 1
Vertices = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Ground:
    """A graph to sample from.

    Attributes
    ----------
    name : str
    topology : Topology
    features : NDArray[np.int8]
        Mantissas.
    seeds : NDArray[np.int64]
        Vertices that batches are made of.
    """

    name: str
    topology: Topology
    features: NDArray[np.int8]
    seeds: Vertices

    def choosing(self, fanout: int) -> float:
        """Share of all vertices that have more neighbours than are kept."""
        degree = self.topology.degree(np.arange(self.topology.vertices))
        return float((degree > fanout).mean())


def ground(data: str, share: float) -> Ground:
    """Load a graph; a share of its nodes, drawn at random, are seeds."""
    graph = datasets.load(data, seed=SEED)
    rng = np.random.default_rng(SEED)
    seeds = rng.permutation(graph.nodes)[: round(share * graph.nodes)]
    width = graph.features.shape[1]
    # Their values do not matter here, their bytes do.
    features = rng.integers(-128, 128, size=(graph.nodes, width), dtype=np.int8)
    return Ground(name=data, topology=Topology.of(graph), features=features, seeds=seeds)


@dataclass(frozen=True, kw_only=True, eq=False)
class Stream:
    """Batches one after the other.

    Attributes
    ----------
    ground : Ground
    sampler : {"labor", "neighbour"}
    batch : int
        Seeds of each worker.
    layers, fanout, kappa : int
    workers : int
    cooperative : bool
        Whether the workers share one batch.
    """

    ground: Ground
    sampler: str
    batch: int
    layers: int = 2
    fanout: int = 10
    kappa: int = 1
    workers: int = 1
    cooperative: bool = False

    def inputs(self, iterations: range) -> Iterator[list[Vertices]]:
        """Input vertices that each worker needs, iteration by iteration."""
        batches = NodeBatches(self.ground.seeds, self.batch * self.workers, SEED)
        sampler = self._sampler()
        for iteration in iterations:
            if self.cooperative:
                yield self._together(sampler, batches.parts(iteration, 1)[0], iteration)
                continue
            yield [
                sample_block(sampler, part, self.layers, iteration, Alone(), SEED).inputs
                for part in batches.parts(iteration, self.workers)
            ]

    def working_set(self, iterations: int = 4) -> float:
        """Input vertices of a worker, the mean of some iterations."""
        counts = [len(each) for inputs in self.inputs(range(iterations)) for each in inputs]
        return float(np.mean(counts))

    def fetched_bytes(self, warm: int, iterations: int, spare: float) -> float:
        """Bytes of features fetched in an iteration by all workers, once caches are warm.

        Parameters
        ----------
        warm, iterations : int
            Iterations that do not count, and that do.
        spare : float
            Rows of each worker's cache, over its working set.
        """
        rows = round(spare * self.working_set())
        caches = [FeatureCache(self.ground.features, 8, rows) for _ in range(self.workers)]
        before = 0
        for number, inputs in enumerate(self.inputs(range(warm + iterations))):
            if number == warm:
                before = sum(cache.fetched_bytes for cache in caches)
            for cache, own in zip(caches, inputs, strict=True):
                cache.fetch(own)
        return (sum(cache.fetched_bytes for cache in caches) - before) / iterations

    def but(self, **changes: object) -> "Stream":
        """Return the same but for some fields."""
        return replace(self, **changes)  # type: ignore[arg-type]

    def _sampler(self) -> Sampler:
        return KINDS[self.sampler](
            topology=self.ground.topology, fanout=(self.fanout,) * self.layers,
            draws=Draws(seed=SEED, kappa=self.kappa),
        )  # fmt: skip

    def _together(self, sampler: Sampler, seeds: Vertices, iteration: int) -> list[Vertices]:
        def work(communicator: Communicator) -> Vertices:
            own = owners(SEED, seeds, communicator.size) == communicator.rank
            block = sample_block(sampler, seeds[own], self.layers, iteration, communicator, SEED)
            return block.inputs

        return run_threads(self.workers, work)
