# SPDX-License-Identifier: Apache-2.0
"""The beat of every edge of a row block, across its tiles."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gcnloom.scheduling.banks import bank_pattern, in_cells
from gcnloom.scheduling.dealing import Deal
from gcnloom.scheduling.edges import Edges
from gcnloom.scheduling.repair import padding, repair
from gcnloom.scheduling.spacing import Queues, issue_times
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import HAZARD_DISTANCE

__all__ = ["Issue", "place", "unevenness"]

Index = NDArray[np.int64]

LANES, BANKED_LANES = 1, 4
"""Edges of a chunk are laid out so many hazard distances apart where they can be. At just one a
PE need not read the sum again, which leaves its memory to drains; with banks edges are shifted
more.
"""

TRIALS = 5
TOLERATED = 0.005
"""Share of beats inserted to keep edges apart above which tiles are tried with more beats."""


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
    """Place every edge in a beat; beats of one slot keep their distance across tiles too.

    Where tiles are so tight that much must be padded, they are given some more beats from the
    start, among which edges are ordered more easily; the shortest of a few trials is taken.
    """
    pes = config.pes
    queues = Queues.of(edges.tile * pes + dealt.pe[dealt.chunk], dealt.chunk, len(bounds) * pes)
    lengths = np.maximum(bounds, queues.least.reshape(-1, pes).max(axis=1))
    trials = [_placed(queues, edges, dealt, lengths, config)]
    while len(trials) < TRIALS:
        pads = trials[-1].lengths - lengths
        if pads.sum() <= TOLERATED * lengths.sum():
            break
        lengths = lengths + -(-pads // 2)
        trials.append(_placed(queues, edges, dealt, lengths, config))
    return min(trials, key=lambda issue: int(issue.lengths.sum()))


def _placed(
    queues: Queues, edges: Edges, dealt: Deal, lengths: Index, config: AcceleratorConfig
) -> Issue:
    """Place every edge in tiles of these lengths, and pad what comes too close."""
    pes = config.pes
    pe = dealt.pe[dealt.chunk]
    starts = np.cumsum(lengths) - lengths
    stride = HAZARD_DISTANCE * (BANKED_LANES if config.operand_banks else LANES)
    beat = issue_times(queues, np.repeat(lengths, pes), stride) + starts[edges.tile]

    tile = np.repeat(np.arange(len(lengths)), lengths)
    bank = np.full((len(tile), pes), -1, dtype=np.int64)
    if config.operand_banks:
        cell = queues.queue * config.operand_banks + edges.column % config.operand_banks
        bank = _patterns(cell, lengths, config)
        cells = (tile[:, None] * pes + np.arange(pes)) * config.operand_banks + bank
        beat = in_cells(cell, beat, cells)
    chunk = np.full((len(tile), pes), -1, dtype=np.int64)
    chunk[beat, pe] = dealt.chunk
    source = repair(chunk, bank, tile)
    moved = np.empty(chunk.size, dtype=np.int64)
    moved[source] = np.arange(chunk.size)
    beat = moved[beat * pes + pe] // pes

    pads = padding(chunk)
    return Issue(
        beat=beat + np.cumsum(pads)[beat],
        lengths=lengths + np.bincount(tile, pads, len(lengths)).astype(np.int64),
        busiest=queues.total.reshape(-1, pes).max(axis=1),
    )


def _patterns(cell: Index, lengths: Index, config: AcceleratorConfig) -> Index:
    """Choose the bank that each PE may read in each beat of a row block.

    A cell is a tile, a PE and a bank; `cell` is that of each edge.
    """
    shape = (len(lengths), config.pes, config.operand_banks)
    reads = np.bincount(cell, minlength=int(np.prod(shape))).reshape(shape)
    return np.concatenate(
        [bank_pattern(each, int(beats)) for each, beats in zip(reads, lengths, strict=True)]
    )


def unevenness(first: Index, pe: Index, beats: int) -> int:
    """How far the running count of a PE's first edges gets from the straight line, at most."""
    order = np.lexsort((first, pe))
    counts = np.bincount(pe)
    rank = np.arange(len(pe)) - np.repeat(np.cumsum(counts) - counts, counts)
    line = first[order] * counts[pe[order]] / beats
    return int(np.ceil(np.max(np.maximum(line - rank, rank + 1 - line))))
