# SPDX-License-Identifier: Apache-2.0
"""The beat of every edge of a row block, across its tiles."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gcnloom.scheduling.dealing import Deal
from gcnloom.scheduling.edges import Edges
from gcnloom.scheduling.repair import padding, repair
from gcnloom.scheduling.spacing import Queues, issue_times
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import HAZARD_DISTANCE

__all__ = ["Issue", "place", "unevenness"]

Index = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Issue:
    """When a row block's edges issue.

    Parameters
    ----------
    beat : NDArray[np.int64]
        For each edge, counted from the first beat of the block.
    lengths : NDArray[np.int64]
        Beats of each tile.
    busiest : NDArray[np.int64]
        Edges of each tile on the PE that has most.
    """

    beat: Index
    lengths: Index
    busiest: Index


def place(edges: Edges, dealt: Deal, bounds: Index, config: AcceleratorConfig) -> Issue:
    """Place every edge in a beat; beats of one slot keep their distance across tiles too."""
    pes = config.pes
    pe = dealt.pe[dealt.chunk]
    queues = Queues.of(edges.tile * pes + pe, dealt.chunk, len(bounds) * pes)
    least = queues.least.reshape(-1, pes).max(axis=1)
    lengths = np.maximum(bounds, least)
    starts = np.cumsum(lengths) - lengths
    beat = issue_times(queues, np.repeat(lengths, pes), 2 * HAZARD_DISTANCE) + starts[edges.tile]

    tile = np.repeat(np.arange(len(lengths)), lengths)
    chunk = np.full((len(tile), pes), -1, dtype=np.int64)
    chunk[beat, pe] = dealt.chunk
    group = tile[:, None] * pes + np.arange(pes)
    source = repair(chunk, group, tile)
    moved = np.empty(chunk.size, dtype=np.int64)
    moved[source] = np.arange(chunk.size)
    beat = moved[beat * pes + pe] // pes

    pads = padding(chunk)
    return Issue(
        beat=beat + np.cumsum(pads)[beat],
        lengths=lengths + np.bincount(tile, pads, len(lengths)).astype(np.int64),
        busiest=queues.total.reshape(-1, pes).max(axis=1),
    )


def unevenness(first: Index, pe: Index, beats: int) -> int:
    """How far the running count of a PE's first edges gets from the straight line, at most."""
    order = np.lexsort((first, pe))
    counts = np.bincount(pe)
    rank = np.arange(len(pe)) - np.repeat(np.cumsum(counts) - counts, counts)
    line = first[order] * counts[pe[order]] / beats
    return int(np.ceil(np.max(np.maximum(line - rank, rank + 1 - line))))
