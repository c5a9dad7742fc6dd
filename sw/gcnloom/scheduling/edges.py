# SPDX-License-Identifier: Apache-2.0
"""The edges of a row block, tile by tile, and what bounds the beats that they take."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from gcnloom_spec.isa import HAZARD_DISTANCE

__all__ = ["Edges", "edges_of", "rank_within", "split", "tile_bounds"]

LEAST_CHUNKS = (1, 2, 4)
"""Rows are split no finer than the first of these edges of a tile that the drain allows."""
BANKED_SLACK = 3
"""With banks, rows are split whose edges would come sooner than so many hazard distances."""

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


def edges_of(weights: csr_array, rows: range, max_columns: int) -> Edges:
    """Edges of some rows of a canonical matrix; an empty row gets one of weight zero.

    Without an edge nothing would clear the accumulator that is drained for the row.
    """
    part = slice(weights.indptr[rows.start], weights.indptr[rows.stop])
    degree = np.diff(weights.indptr[rows.start : rows.stop + 1])
    row = np.repeat(np.arange(len(rows), dtype=np.int64), degree)
    column = weights.indices[part].astype(np.int64)
    empty = np.flatnonzero(degree == 0)
    row = np.concatenate([row, empty])
    column = np.concatenate([column, _spare(column, len(empty), weights.shape[1], max_columns)])
    weight = np.concatenate([weights.data[part], np.zeros(len(empty), dtype=np.int64)])
    order = np.argsort(row, kind="stable")
    row, column, weight = row[order], column[order], weight[order]
    blocks = -(-weights.shape[1] // max_columns)
    block = column // max_columns
    present = np.flatnonzero(np.bincount(block, minlength=blocks))
    index = np.zeros(blocks, dtype=np.int64)
    index[present] = np.arange(len(present))
    starts = [int(each) * max_columns for each in present]
    spans = tuple(range(low, min(low + max_columns, weights.shape[1])) for low in starts)
    return Edges(
        row=row, column=column - block * max_columns, weight=weight, tile=index[block], spans=spans
    )


def _spare(column: Index, count: int, columns: int, max_columns: int) -> Index:
    """Columns for edges of weight zero, spread over the tiles as the other edges are.

    A tile without another edge would load an operand block for nothing.
    """
    turn = np.arange(count, dtype=np.int64)
    if not len(column):
        return turn % min(columns, max_columns)
    start = np.sort(column)[turn * len(column) // count] // max_columns * max_columns
    return start + turn % np.minimum(max_columns, columns - start)


def tile_bounds(edges: Edges, pes: int, banks: int) -> Index:
    """Beats below which no schedule of each tile gets, however rows are split.

    Every PE takes an edge a beat, and of `banks` banks, if there are any, each is read once. The
    hazard distance adds nothing, as rows may be split at will.
    """
    bounds: Index = -(-np.bincount(edges.tile, minlength=len(edges.spans)) // pes)
    if not banks:
        return bounds
    reads = np.bincount(edges.tile * banks + edges.column % banks, minlength=len(bounds) * banks)
    busiest: Index = reads.reshape(-1, banks).max(axis=1)
    return np.maximum(bounds, busiest)


def split(edges: Edges, bounds: Index, banks: int, rows: int) -> tuple[Index, Index]:
    """How far to split rows: at most how many edges of each tile in a chunk, and chunks by row.

    A slot with more edges than a tile has beats over the hazard distance would hold the tile up;
    somewhat fewer leave room to order them, which they need more of where banks matter too.
    In small tiles rows are only split so far as to drain them, an entry a beat, in the beats
    of the block, or else not much longer than with whole rows.
    """
    distance = BANKED_SLACK * HAZARD_DISTANCE if banks else HAZARD_DISTANCE + 1
    cell, size = np.unique(edges.row * len(bounds) + edges.tile, return_counts=True)
    for least in LEAST_CHUNKS:
        limits = np.maximum(bounds // distance, least)
        counts = np.ones(rows, dtype=np.int64)
        np.maximum.at(counts, cell // len(bounds), -(-size // limits[cell % len(bounds)]))
        if counts.sum() <= max(bounds.sum(), rows + rows // 8):
            break
    return limits, counts


def rank_within(group: Index, sizes: Index) -> Index:
    """Position of each item among the items of its group, in order of appearance."""
    order = np.argsort(group, kind="stable")
    rank = np.empty(len(group), dtype=np.int64)
    rank[order] = np.arange(len(group)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return rank
