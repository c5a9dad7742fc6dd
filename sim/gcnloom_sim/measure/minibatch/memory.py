# SPDX-License-Identifier: Apache-2.0
"""Peak of device memory while training on batches of larger and larger graphs."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from gcnloom.device import open as open_device
from gcnloom.graphs import datasets
from gcnloom.graphs.graph import Graph
from gcnloom.parallel.communicator import Alone
from gcnloom.sampling.options import Sampling
from gcnloom.sampling.trainer import MinibatchTrainer
from gcnloom_sim.measure.minibatch.figure import Figure
from gcnloom_sim.measure.minibatch.training import RECIPE

__all__ = ["MEMORY", "memory_rows"]

Say = Callable[[str], None]
Row = tuple[object, ...]
MEASURED = 16
"""Batches whose memory is looked at."""
MEMORY = (
    "nodes", "edges", "sampler", "seeds", "fan-out", "inputs of a batch", "device memory",
    "of the smallest graph's",
)  # fmt: skip


def memory_rows(
    sizes: Sequence[int], degree: int, samplers: Sequence[str], batch: int, fanout: int,
    device: str, say: Say,
) -> Iterator[Row]:  # fmt: skip
    """Peak of device memory while training on graphs of more and more nodes.

    Parameters
    ----------
    sizes : sequence of int
    degree : int
        Neighbours of a node.
    samplers : sequence of str
    batch, fanout : int
    device : str
    say : callable
    """
    first: dict[str, int] = {}
    for size in sizes:
        data = f"community:{size},{degree},32,8"
        say(data)
        graph = datasets.load(data, seed=0)
        for sampler in samplers:
            sampling = Sampling(
                sampler=sampler, batch=batch, fanout=(fanout, fanout), evaluate_every=0
            )
            inputs, peak = _peak(graph, sampling, device)
            first.setdefault(sampler, peak)
            yield (
                Figure(size, ",.0f"), Figure(graph.adjacency.nnz, ",.0f"), sampler, batch, fanout,
                Figure(inputs, ",.0f"), Figure(peak / 1024, ",.1f", " KiB"),
                Figure(100 * peak / first[sampler], ".1f", " %"),
            )  # fmt: skip


def _peak(graph: Graph, sampling: Sampling, device: str) -> tuple[float, int]:
    """Input vertices of a batch, the mean of some, and most bytes of device memory in use."""
    with open_device(device) as opened:
        trainer = MinibatchTrainer(
            graph, RECIPE, opened, Alone(), mode="minibatch", sampling=sampling
        )
        inputs = []
        for iteration in range(MEASURED):
            trainer.iterate(iteration)
            inputs.append(len(trainer.engine.batch.block.inputs))
        return float(np.mean(inputs)), trainer.engine.peak_words * opened.config.memory_bytes
