# SPDX-License-Identifier: Apache-2.0
"""What an epoch will take of each worker, foretold without training."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, issparse

from gcnloom.graphs.graph import Graph
from gcnloom.graphs.partition import node_parts
from gcnloom.lower.graph import OrderedGraph, order_graph
from gcnloom.parallel.parts import round_bytes
from gcnloom.parallel.rounds import Rounds
from gcnloom.parallel.shares import even_shares
from gcnloom.sampling.options import Sampling
from gcnloom.study.effort import COUNT, Effort, Engines
from gcnloom.study.foresample import foresample
from gcnloom.training.options import Options
from gcnloom_spec.config import AcceleratorConfig

__all__ = ["Plan", "predict"]

EPOCH_TOLD = 24
"""Bytes in which a worker of GIST tells the first of an epoch."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A training to foretell.

    Attributes
    ----------
    graph : Graph
    options : Options
    config : AcceleratorConfig
        Of every worker's device.
    parallel : str
        ``--parallel`` of ``gcnloom train``.
    workers : int
    sampling : Sampling or None
        Of modes of sampled batches.
    local_iterations : int
        Epochs of a round of ``"gist"``.
    """

    graph: Graph
    options: Options
    config: AcceleratorConfig
    parallel: str
    workers: int
    sampling: Sampling | None
    local_iterations: int

    def engines(self, options: Options) -> Engines:
        """Engines for a network of these options on the graph."""
        network = options.network(self.graph.features.shape[1], self.graph.classes)
        sparse = bool(issparse(self.graph.features))
        return Engines(config=self.config, widths=network.widths, sparse_input=sparse)


def predict(plan: Plan) -> dict[str, Any]:
    """Foretell what an epoch takes, in the form of :meth:`gcnloom.study.meter.Meter.end`.

    Returns
    -------
    dict
        ``per_worker``: ``bytes``, ``messages``, ``fetched_bytes``, ``beats`` and ``cycles``,
        which are 0, by rank; and ``features``, the bytes of features of all workers: of a full
        graph what its papers call Γ_fg, of batches Γ_mb, both of one epoch.
    """
    if plan.sampling is not None:
        efforts = foresample(
            plan.graph, plan.engines(plan.options), plan.options, plan.sampling, plan.workers,
            cooperative=plan.parallel == "cooperative",
        )  # fmt: skip
    elif plan.parallel == "gist":
        efforts = _gist(plan)
    else:
        efforts = _full(plan)
    names = ("bytes", "messages", "fetched_bytes", "beats")
    per_worker = {name: [round(getattr(each, name), 1) for each in efforts] for name in names}
    return {
        "per_worker": per_worker | {"cycles": [0.0] * len(efforts)},
        "features": sum(each.features + each.fetched_bytes for each in efforts),
    }


def _full(plan: Plan) -> list[Effort]:
    """Foretell full-graph training, on one device or on several."""
    engines, size = plan.engines(plan.options), plan.workers
    network = plan.options.network(plan.graph.features.shape[1], plan.graph.classes)
    ordered = order_graph(plan.graph, network, plan.config)
    every = (len(ordered.order),) * (network.layers + 1)
    rows = ordered.seen if plan.options.sampled else every
    if plan.parallel == "partition":
        membership = node_parts(plan.graph.adjacency, size)[ordered.order]
        efforts = [Effort(beats=_beats(engines, ordered, rows, membership == worker))
                   for worker in range(size)]  # fmt: skip
        _halos(engines, ordered, rows, membership, efforts)
    else:
        efforts = [_mixed(engines, ordered, rows, worker, size) for worker in range(size)]
    if size > 1:
        for effort in efforts:
            effort.reduce(engines.weights, size)
            effort.reduce(_statistics(len(engines.layers), val=len(plan.graph.val) > 0), size)
    return efforts


def _statistics(layers: int, *, val: bool) -> list[tuple[int, int]]:
    """Envelopes and what was clipped of each pass, exponent, losses and accuracies.

    Looks at validation nodes take an inference, and one more at the shifts that it calls for.
    """
    of_pass = [2 * layers - 1, 1]
    looks = [*of_pass, *of_pass, 1, 3] if val else []
    return [(elements, COUNT) for elements in [*of_pass, 3, 1, *of_pass, 1, *looks]]


def _mixed(
    engines: Engines, ordered: OrderedGraph, rows: tuple[int, ...], worker: int, size: int
) -> Effort:
    """Foretell a worker of ``"mop"``: rows by weights, columns by edges, switches between."""
    effort, last = Effort(), engines.layers[-1]
    for layer in engines.layers:
        outer = engines.widths[layer]
        mine = even_shares(outer, size)[worker]
        holders = sum(len(each) > 0 for each in even_shares(outer, size)) - (len(mine) > 0)
        before, after = (even_shares(count, size)[worker] for count in rows[layer - 1 : layer + 1])
        block = ordered.adjacency[: rows[layer], : rows[layer - 1]]
        lead = mine.start % engines.config.lanes if mine else 0
        entries = _entries(engines, ordered.features[before.start : before.stop])
        effort.beats += engines.update(layer, len(before), entries)
        effort.beats += 2 * engines.aggregation(block.count_nonzero(), lead + len(mine))
        raw = engines.sums if layer == last else engines.operand
        switches = (
            (before, after, rows[layer], raw),
            (after, before, rows[layer - 1], engines.operand),
        )
        for here, back, every, width in switches:
            effort.send(len(here) * (outer - len(mine)), engines.operand, holders)
            others = every - len(back)
            effort.send(others * len(mine), width, (size - 1) * (len(mine) > 0))
    return effort


def _beats(
    engines: Engines, ordered: OrderedGraph, rows: tuple[int, ...], own: NDArray[np.bool_]
) -> float:
    """Beats of a worker of ``"partition"`` that owns these rows."""
    beats = 0.0
    for layer in engines.layers:
        before, after = (own[:count] for count in rows[layer - 1 : layer + 1])
        block = csr_array(ordered.adjacency[: rows[layer], : rows[layer - 1]])
        edges = block[after].count_nonzero() + block[:, before].count_nonzero()
        entries = _entries(engines, ordered.features[: rows[0]][own[: rows[0]]])
        beats += engines.update(layer, int(before.sum()), entries)
        beats += engines.aggregation(edges, engines.widths[layer])
    return beats


def _halos(
    engines: Engines, ordered: OrderedGraph, rows: tuple[int, ...], membership: NDArray[np.int64],
    efforts: list[Effort],
) -> None:  # fmt: skip
    """Add what owners send to those whose nodes listen to theirs, forward and backward."""
    size = len(efforts)
    for layer in engines.layers:
        block = ordered.adjacency[: rows[layer], : rows[layer - 1]]
        for matrix in (block, csr_array(block.T)):
            places = matrix.tocoo()
            row, column = (index[places.data != 0].astype(np.int64) for index in places.coords)
            pairs = np.unique(np.stack([membership[row], column]), axis=1)
            counts = np.zeros((size, size), dtype=np.int64)
            np.add.at(counts, (membership[pairs[1]], pairs[0]), 1)
            np.fill_diagonal(counts, 0)
            for worker, effort in enumerate(efforts):
                elements = int(counts[worker].sum()) * engines.widths[layer]
                effort.send(elements, engines.operand, int(np.count_nonzero(counts[worker])))


def _gist(plan: Plan) -> list[Effort]:
    """Foretell training in parts, of which the first worker holds all.

    The first epoch of a round repeats its passes at least once, until their shifts fit.
    """
    rounds = Rounds.of(plan.options, plan.workers, plan.local_iterations)
    network = plan.options.network(plan.graph.features.shape[1], plan.graph.classes)
    length = rounds.local_epochs / rounds.count
    moved = round_bytes(rounds, network.widths) / 2 / length
    efforts = []
    for worker in range(plan.workers):
        part = replace(plan, options=replace(plan.options, hidden=rounds.width(worker)),
                       parallel="single", workers=1)  # fmt: skip
        effort = _full(part)[0]
        effort.beats *= (length + 1) / length
        others = plan.workers - 1
        effort.bytes = moved if not worker else moved / others + EPOCH_TOLD
        effort.messages = (2 if worker else others) / length
        efforts.append(effort)
    return efforts


def _entries(engines: Engines, features: Any) -> int:
    return int(features.count_nonzero()) if engines.sparse_input else 0
