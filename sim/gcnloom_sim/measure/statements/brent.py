# SPDX-License-Identifier: Apache-2.0
"""Time on P elements against work and depth, as in Brent's theorem: A4."""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, log2

import numpy as np
from scipy.sparse import csr_array

from gcnloom.graphs.graph import gcn_norm
from gcnloom.lower.tiling import column_limit
from gcnloom.scheduling.schedule import schedule
from gcnloom_sim.measure.statements.hubs import sized
from gcnloom_sim.measure.statements.measured import Measured, Say, graphs_of
from gcnloom_spec.isa import HAZARD_DISTANCE

__all__ = ["Aggregation", "aggregations", "work_and_depth"]

MOST_PES = 16
MOST = 1.5
GRAPHS = ("digits", "sbm:2000,7", "rmat:13,16")


@dataclass(frozen=True, kw_only=True)
class Aggregation:
    """A matrix along a graph's edges, multiplied by a slice of features on some elements.

    Attributes
    ----------
    pes : int
    work : int
        Multiplications and additions of one element alone, a beat each: W.
    depth : int
        Beats of a balanced tree of additions over the longest row, each of which may use a sum
        only so many beats later: D.
    beats : int
        Until all products are added up.
    joins : int
        Partial sums that are then added to others of their row, an entry of the drain each.
    """

    pes: int
    work: int
    depth: int
    beats: int
    joins: int

    @property
    def time(self) -> int:
        """Beats and joins, none of which overlap: T of P elements."""
        return self.beats + self.joins

    @property
    def factor(self) -> float:
        """Smallest c with which T <= W / P + c D."""
        return (self.time - self.work / self.pes) / self.depth


def aggregations(adjacency: csr_array, most_pes: int = MOST_PES) -> Iterator[Aggregation]:
    """Schedule the normalised matrix of a graph on 1, 2, ... elements."""
    pattern = csr_array(gcn_norm(adjacency))
    ones = np.ones(pattern.nnz, dtype=np.int64)
    matrix = csr_array((ones, pattern.indices, pattern.indptr), shape=pattern.shape)
    longest = int(np.diff(matrix.indptr).max())
    for pes in range(1, most_pes + 1):
        config = sized(pes)
        plan = schedule(
            matrix, config, max_rows=config.accumulator_depth * pes,
            max_columns=column_limit(matrix.shape[1], config),
        )  # fmt: skip
        yield Aggregation(
            pes=pes, beats=plan.length, joins=plan.entries - matrix.shape[0],
            work=sum(tile.edges for block in plan.blocks for tile in block.tiles),
            depth=HAZARD_DISTANCE * max(1, ceil(log2(longest))),
        )  # fmt: skip


def work_and_depth(options: argparse.Namespace, say: Say) -> Measured:
    """A4: T_P <= W / P + c D on 1 to 16 elements."""
    cells: list[tuple[object, ...]] = []
    worst: dict[str, float] = {}
    for graph in graphs_of(options, GRAPHS):
        say(graph.name)
        found = list(aggregations(graph.adjacency))
        cells += [
            (graph.name, each.pes, f"{each.work:,}", each.depth, f"{each.beats:,}", each.joins,
             f"{each.work / each.pes:,.1f}", f"{each.factor:.2f}")
            for each in found
        ]  # fmt: skip
        worst[graph.name] = max(each.factor for each in found)
    return Measured(
        header=("graph", "PEs", "W", "D", "beats", "joins", "W / P", "c"), rows=cells,
        held=[factor <= MOST for factor in worst.values()],
        asked=f"c <= {MOST} for P = 1 to {MOST_PES}",
        measured="at most " + ", ".join(f"{factor:.2f} on {name}" for name, factor in worst.items())
        + "; additions of a feature slice, beside which results leave a row a cycle on any P",
    )  # fmt: skip
