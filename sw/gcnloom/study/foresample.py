# SPDX-License-Identifier: Apache-2.0
"""What an epoch of sampled batches will take: its blocks are drawn, and nothing is trained."""

from typing import Any

from scipy.sparse import issparse

from gcnloom.graphs.graph import Graph
from gcnloom.parallel.communicator import Alone, Communicator
from gcnloom.parallel.threads import run_threads
from gcnloom.sampling.batch import nodes_of
from gcnloom.sampling.block import Block, block_bytes, sample_block
from gcnloom.sampling.cache import FeatureCache
from gcnloom.sampling.options import Sampling
from gcnloom.study.effort import COUNT, Effort, Engines
from gcnloom.training.options import Options

__all__ = ["foresample"]

COLD, WARM = 1, 3
"""Epochs that are drawn to fill a cache, and those that count."""


def foresample(
    graph: Graph, engines: Engines, options: Options, sampling: Sampling, workers: int, *,
    cooperative: bool,
) -> list[Effort]:  # fmt: skip
    """Return what an epoch of batches is expected to take of each worker.

    Parameters
    ----------
    graph : Graph
    engines : Engines
    options : Options
    sampling : Sampling
    workers : int
    cooperative : bool
        Whether all workers share a batch.
    """

    def work(communicator: Communicator) -> Effort:
        sampler, batches = sampling.make(
            graph, rank=communicator.rank, workers=workers, cooperative=cooperative,
            seed=options.seed,
        )  # fmt: skip
        group = communicator if cooperative else Alone()
        cache = FeatureCache(graph.features, engines.config.operand_width, sampling.cache)
        first, count = COLD * batches.per_epoch, WARM * batches.per_epoch
        effort, fetched, asked = Effort(), 0, 0
        for iteration in range(first + count):
            if iteration == first:
                effort, fetched, asked = Effort(), cache.fetched_bytes, group.messages["ids"]
            nodes, mine = nodes_of(
                batches, iteration, communicator, options.seed, cooperative=cooperative
            )
            block = sample_block(
                sampler, nodes[mine], len(engines.layers), iteration, group, options.seed
            )
            features = cache.fetch(block.inputs)
            _add(effort, engines, block, features, group)
        effort.fetched_bytes = cache.fetched_bytes - fetched
        effort.messages += group.messages["ids"] - asked
        effort = effort.over(WARM)
        if workers > 1:
            _reduce(effort, engines, workers, batches.per_epoch, sampling)
        return effort

    return run_threads(workers, work)


def _add(
    effort: Effort, engines: Engines, block: Block, features: Any, group: Communicator
) -> None:
    """Add a block's products, and what it sends."""
    entries = features.count_nonzero() if issparse(features) else 0
    for layer, share in enumerate(block.layers, start=1):
        edges = share.weights.count_nonzero()
        effort.beats += engines.update(layer, len(share.own), entries)
        effort.beats += 2 * engines.aggregation(edges, engines.widths[layer])
        for lists in (share.sends, share.places):
            others = [len(each) for rank, each in enumerate(lists) if rank != group.rank]
            effort.messages += sum(size > 0 for size in others)
    sent = block_bytes(
        block, engines.widths, group.rank, operand=engines.operand, sums=engines.sums
    ).total()
    effort.bytes += sent
    effort.features += sent


def _reduce(
    effort: Effort, engines: Engines, workers: int, batches: int, sampling: Sampling
) -> None:
    """Add weight gradients and statistics of each batch, and looks at validation nodes."""
    of_pass = [2 * len(engines.layers) - 1, 1]
    # Of a batch its weights' exponent, a bound of its sums, losses, the gradient's exponent, and
    # how many it got right.
    counts = [1, 1, *of_pass, 3, 1, *of_pass, 1]
    effort.reduce(engines.weights, workers, batches)
    effort.reduce([(elements, COUNT) for elements in counts], workers, batches)
    if sampling.evaluate_every:
        effort.reduce([(1, COUNT), (3, COUNT)], workers, 1 / sampling.evaluate_every)
