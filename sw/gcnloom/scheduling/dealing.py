# SPDX-License-Identifier: Apache-2.0
"""Who adds what: rows are split into chunks of edges, and chunks dealt to PEs and slots."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import HAZARD_DISTANCE

__all__ = ["LEAST_CHUNK", "Deal", "Edges", "chunk_counts", "deal", "edges_of"]

LEAST_CHUNK = 4
"""Rows are not split finer than this many edges of a tile: each chunk costs a drain entry."""

Index = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Edges:
    """Edges of a row block, sorted by row and column.

    Parameters
    ----------
    row : NDArray[np.int64]
        Counts from the block's first row.
    column : NDArray[np.int64]
        Counts from the tile's first column.
    weight : NDArray[np.int64]
    tile : NDArray[np.int64]
        Index in `spans`.
    spans : tuple of range
        Columns of each tile; column blocks without edges are left out.
    """

    row: Index
    column: Index
    weight: Index
    tile: Index
    spans: tuple[range, ...]


@dataclass(frozen=True, kw_only=True)
class Deal:
    """Where the chunks of a row block are accumulated.

    Parameters
    ----------
    chunk : NDArray[np.int64]
        The chunk of each edge; chunks are numbered in row order.
    pe, slot, last : NDArray[np.int64]
        For each chunk: its PE, its slot there, and whether its row ends with it.
    """

    chunk: Index
    pe: Index
    slot: Index
    last: Index


def edges_of(weights: csr_array, rows: range, max_columns: int) -> Edges:
    """Edges of some rows of a canonical matrix; an empty row gets one of weight zero.

    Without an edge nothing would clear the accumulator that is drained for the row.
    """
    part = slice(weights.indptr[rows.start], weights.indptr[rows.stop])
    degree = np.diff(weights.indptr[rows.start : rows.stop + 1])
    row = np.repeat(np.arange(len(rows), dtype=np.int64), degree)
    column = weights.indices[part].astype(np.int64)
    empty = np.flatnonzero(degree == 0)
    # Column 0 would touch an operand block of its own where the first blocks have no edges.
    spare = int(column.min(initial=weights.shape[1] - 1)) // max_columns * max_columns
    where = np.searchsorted(row, empty)
    row = np.insert(row, where, empty)
    column = np.insert(column, where, spare)
    weight = np.insert(weights.data[part], where, 0)
    present, tile = np.unique(column // max_columns, return_inverse=True)
    starts = [int(block) * max_columns for block in present]
    spans = tuple(range(low, min(low + max_columns, weights.shape[1])) for low in starts)
    return Edges(row=row, column=column % max_columns, weight=weight, tile=tile, spans=spans)


def chunk_counts(row: Index, tile: Index, rows: int, pes: int) -> Index:
    """Into how many chunks to split each row, so that no slot holds up a tile.

    A tile of `n` edges takes about ``n / pes`` beats. A slot with more than that over the
    hazard distance would take longer; one more in the divisor leaves room to balance PEs.
    """
    tiles = int(tile.max()) + 1
    limit = np.bincount(tile, minlength=tiles) // (pes * (HAZARD_DISTANCE + 1))
    limit = np.maximum(limit, LEAST_CHUNK)
    cell, size = np.unique(row * tiles + tile, return_counts=True)
    counts = np.ones(rows, dtype=np.int64)
    np.maximum.at(counts, cell // tiles, -(-size // limit[cell % tiles]))
    return counts


def deal(row: Index, tile: Index, counts: Index, config: AcceleratorConfig) -> Deal:
    """Deal edges, sorted by row and column, to chunks, and chunks to PEs and slots.

    The edges of a row go to its chunks in turn, so that every chunk has its share of every
    tile. Chunks go to PEs largest first, each to where it meets the least load in the tiles it
    takes part in.
    """
    start = np.cumsum(counts) - counts
    edges = np.bincount(row, minlength=len(counts))
    turn = np.arange(len(row)) - np.repeat(np.cumsum(edges) - edges, edges)
    chunk = start[row] + turn % counts[row]
    last = np.zeros(int(counts.sum()), dtype=np.int64)
    last[start + counts - 1] = 1
    pe, slot = _place(chunk, tile, len(last), config)
    return Deal(chunk=chunk, pe=pe, slot=slot, last=last)


def _place(
    chunk: Index, tile: Index, chunks: int, config: AcceleratorConfig
) -> tuple[Index, Index]:
    """Greedy balance of every tile at once: least growth of the sum of squared loads."""
    tiles = int(tile.max()) + 1
    cell, size = np.unique(chunk * tiles + tile, return_counts=True)
    bounds = np.searchsorted(cell, np.arange(chunks + 1) * tiles)
    cell_tile = cell % tiles
    load = np.zeros((tiles, config.pes), dtype=np.int64)
    used = np.zeros(config.pes, dtype=np.int64)
    pe = np.empty(chunks, dtype=np.int64)
    slot = np.empty(chunks, dtype=np.int64)
    full = np.iinfo(np.int64).max
    for index in np.argsort(-np.bincount(chunk, minlength=chunks), kind="stable"):
        mine = slice(bounds[index], bounds[index + 1])
        cost = size[mine] @ load[cell_tile[mine]]
        # Between equals the PE with the emptier accumulators, so that slots last.
        cost = cost * config.accumulator_depth + used
        cost[used == config.accumulator_depth] = full
        chosen = int(np.argmin(cost))
        pe[index], slot[index] = chosen, used[chosen]
        used[chosen] += 1
        load[cell_tile[mine], chosen] += size[mine]
    return pe, slot
