# SPDX-License-Identifier: Apache-2.0
"""Who adds what: rows are split into chunks of edges, and chunks dealt to PEs and slots."""

from dataclasses import dataclass
from heapq import heappop, heapreplace

import numpy as np
from numpy.typing import NDArray

from gcnloom.scheduling.edges import Edges, rank_within
from gcnloom.scheduling.levelling import Pieces, level

__all__ = ["Deal", "deal"]

Index = NDArray[np.int64]


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


def deal(
    edges: Edges, counts: Index, bounds: Index, limits: Index, pes: int, room: int, entries: int
) -> Deal:
    """Deal the edges of a row block to chunks, and chunks to PEs and slots.

    The edges of a row go to its chunks in turn, so that every chunk has its share of every
    tile. Chunks go to PEs largest first, each to where it meets the least load in the tiles it
    takes part in. Where a PE is then left with more edges of a tile than the tile's bound,
    the rest moves to other PEs.

    Parameters
    ----------
    edges : Edges
    counts : NDArray[np.int64]
        Chunks to split each row into.
    bounds, limits : NDArray[np.int64]
        For each tile: beats it should take, and edges that a chunk should have in it at most.
    pes : int
    room : int
        Slots of each PE.
    entries : int
        Chunks that there may be in all, at least the sum of `counts`.
    """
    start = np.cumsum(counts) - counts
    degree = np.bincount(edges.row, minlength=len(counts))
    turn = np.arange(len(edges.row)) - np.repeat(np.cumsum(degree) - degree, degree)
    chunk = start[edges.row] + turn % counts[edges.row]
    row = np.repeat(np.arange(len(counts), dtype=np.int64), counts)
    tiles = len(bounds)
    cell, size = np.unique(chunk * tiles + edges.tile, return_counts=True)
    pieces = Pieces(chunk=cell // tiles, tile=cell % tiles, size=size, row=row)
    pieces.pe = _place(pieces, tiles, pes, room)
    level(pieces, bounds, limits, pes, room, entries)
    return _numbered(pieces, len(counts), pes)


def _place(pieces: Pieces, tiles: int, pes: int, room: int) -> Index:
    """Greedy balance of every tile at once: least growth of the sum of squared loads."""
    if tiles == 1:
        return _place_in_one(pieces.size, pes, room)
    chunks = len(pieces.row)
    bounds = np.searchsorted(pieces.chunk, np.arange(chunks + 1)).tolist()
    load = np.zeros((tiles, pes), dtype=np.int64)
    used = np.zeros(pes, dtype=np.int64)
    full = np.zeros(pes, dtype=np.int64)
    pe = np.empty(chunks, dtype=np.int64)
    total = np.bincount(pieces.chunk, pieces.size, chunks)
    for index in np.argsort(-total, kind="stable").tolist():
        low, high = bounds[index], bounds[index + 1]
        mine, size = pieces.tile[low:high], pieces.size[low:high]
        if high - low == 1:
            cost = load[mine[0]] * size[0]
        else:
            cost = size @ load[mine]
        # Between equals the PE with the emptier accumulators, so that slots last.
        chosen = int((cost * room + used + full).argmin())
        pe[index] = chosen
        used[chosen] += 1
        if used[chosen] == room:
            full[chosen] = np.iinfo(np.int64).max // 2
        load[mine, chosen] += size
    return pe


def _place_in_one(sizes: Index, pes: int, room: int) -> Index:
    """Balance a single tile, where the growth is least on the PE with the least load."""
    pe = np.empty(len(sizes), dtype=np.int64)
    loads = [(0, 0, number) for number in range(pes)]
    for index in np.argsort(-sizes, kind="stable").tolist():
        load, used, number = loads[0]
        pe[index] = number
        if used + 1 < room:
            heapreplace(loads, (load + int(sizes[index]), used + 1, number))
        else:
            heappop(loads)
    return pe


def _numbered(pieces: Pieces, rows: int, pes: int) -> Deal:
    """Chunks in row order, without those that lost all their edges."""
    kept, chunk = np.unique(pieces.chunk, return_inverse=True)
    order = np.argsort(pieces.row[kept], kind="stable")
    number = np.empty(len(kept), dtype=np.int64)
    number[order] = np.arange(len(kept))
    row, pe = pieces.row[kept][order], pieces.pe[kept][order]
    chunk = number[chunk]
    # Edges are sorted by row and tile; so are the pieces that they are handed out to.
    by_row = np.lexsort((chunk, pieces.tile, row[chunk]))
    return Deal(
        chunk=np.repeat(chunk[by_row], pieces.size[by_row]),
        pe=pe,
        slot=rank_within(pe, np.bincount(pe, minlength=pes)),
        last=np.append(row[1:] != row[:-1], True).astype(np.int64),
    )
