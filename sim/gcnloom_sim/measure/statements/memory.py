# SPDX-License-Identifier: Apache-2.0
"""Device memory of workers under mixture of parallelism, against topology and features: M8."""

import argparse
from dataclasses import dataclass

from scipy.sparse import issparse

from gcnloom.device import open as open_device
from gcnloom.graphs import datasets
from gcnloom.graphs.graph import Graph
from gcnloom.parallel.communicator import Communicator
from gcnloom.parallel.costs import Volume
from gcnloom.parallel.launch import open_in_turn
from gcnloom.parallel.memory import HELD, memory_by_rank, mop_features
from gcnloom.parallel.threads import run_threads
from gcnloom.parallel.trainer import ParallelTrainer
from gcnloom.training.options import Options
from gcnloom_sim.measure.statements.measured import Measured, Say

__all__ = ["Held", "held", "worker_memory"]

GRAPHS = ("community:4096,16,64,64", "rmat:12,16")
"""With as many classes as hidden features, and with eight."""
WORKERS = (1, 2, 4, 8)
HIDDEN = 64
MOST_APART = 0.1


@dataclass(frozen=True, kw_only=True)
class Held:
    """Bytes of the worker that holds most, and its tensors by formula.

    Attributes
    ----------
    workers : int
    bytes : dict[str, int]
        ``peak``, and by kind.
    features : float
    """

    workers: int
    bytes: dict[str, int]
    features: float

    def apart(self, topology: int) -> float:
        """Peak over ``topology + sum(N * D) / P``, less 1."""
        return self.bytes["peak"] / (topology + self.features) - 1


def held(graph: Graph, workers: int, device: str, hidden: int = HIDDEN) -> Held:
    """Train an epoch, every row of every layer; return what the fullest device memory holds."""
    settings = Options(update="host", hidden=hidden, epochs=1, sampled=False)

    def work(communicator: Communicator) -> Held:
        with open_in_turn(communicator, lambda: open_device(device)) as opened:
            trainer = ParallelTrainer(graph, settings, opened, communicator, mode="mop")
            trainer.run()
            ranks = memory_by_rank(opened, communicator)
            engine = trainer.engine
            volume = Volume.of(engine.network, engine.rows, graph.nodes, workers, opened.config)
        fullest = ranks["peak"].index(max(ranks["peak"]))
        return Held(
            workers=workers, bytes={name: each[fullest] for name, each in ranks.items()},
            features=mop_features(volume, sparse=issparse(graph.features)),
        )  # fmt: skip

    return run_threads(workers, work)[0]


def worker_memory(options: argparse.Namespace, say: Say) -> Measured:
    """M8: peak device memory of a worker = topology + sum of N x D / P."""
    cells: list[tuple[object, ...]] = []
    apart: dict[str, list[str]] = {}
    within: dict[str, bool] = {}
    for data in options.data or GRAPHS:
        graph = datasets.load(data)
        for workers in WORKERS:
            say(f"{data} on {workers} workers")
            one = held(graph, workers, f"{options.device}:demo")
            if workers == 1:
                topology = one.bytes["topology"]
            more = one.apart(topology)
            cells.append(
                (data, workers, f"{one.bytes['peak']:,}", *(f"{one.bytes[k]:,}" for k in HELD),
                 f"{topology:,}", f"{one.features:,.0f}", f"{100 * more:+.1f} %")
            )  # fmt: skip
            if workers > 1:
                apart.setdefault(data, []).append(f"{100 * more:+.1f} %")
                within[f"{data} on {workers}"] = abs(more) <= MOST_APART
    missed = [name for name, small in within.items() if not small]
    return Measured(
        header=(
            "graph", "workers", "peak", *HELD, "topology of one device", "sum of N D / P", "apart",
        ),
        rows=cells, held=list(within.values()),
        asked="topology + sum of N D / P within 10 %, P = 2, 4, 8",
        measured="; ".join(f"{data}: {', '.join(each)}" for data, each in apart.items()),
        why=f"{', '.join(missed)}: columns are padded to vectors of as many features as an element "
        "has lanes, and of eight classes a worker has one" if missed else "",
    )  # fmt: skip
