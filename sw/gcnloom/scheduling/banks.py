# SPDX-License-Identifier: Apache-2.0
"""Which bank each PE reads in each beat: a colouring of the bipartite multigraph PE x bank."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_array

__all__ = ["bank_order", "bank_pattern", "in_cells"]

Index = NDArray[np.int64]


def bank_order(matrix: csr_array, banks: int, max_columns: int) -> Index:
    """Order of the columns in which the banks are read about equally often.

    Column c of a tile lies in bank ``c % banks``. Where neighbouring columns differ much, as
    those of an R-MAT graph do, one bank may have most of the reads. This deals the columns of
    each tile to the banks by their reads, most first, forth and back.

    Parameters
    ----------
    matrix : csr_array
    banks : int
    max_columns : int
        Columns of a tile.

    Returns
    -------
    NDArray[np.int64]
        The column that comes to each place: schedule ``matrix[:, order]`` and lay the operand's
        rows in this order.

    Examples
    --------
    >>> bank_order(csr_array(np.array([[1, 1, 1, 0], [1, 0, 1, 0]])), 2, 4).tolist()
    [0, 2, 3, 1]
    """
    columns = matrix.shape[1]
    reads = np.bincount(matrix.indices, minlength=columns)
    order = np.lexsort((-reads, np.arange(columns) // max_columns))
    place = np.arange(columns) % max_columns
    start = np.arange(columns) - place
    turn = place // banks * banks
    width = np.minimum(banks, np.minimum(max_columns, columns - start) - turn)
    back = turn + width - 1 - place % banks
    dealt: Index = order[start + np.where(turn // banks % 2 == 1, back, place)]
    return dealt


def bank_pattern(reads: Index, beats: int) -> Index:
    """Banks that the PEs read, beat by beat, no two the same one.

    By König's theorem `beats` suffice if no PE and no bank has more reads. The reads are filled
    up to a square matrix of which each row and column sums to `beats`, and that is taken apart
    into permutations (Birkhoff and von Neumann), each with a count. The beats of each permutation
    are spread over all of them, so that each PE meets each bank at even intervals.

    Parameters
    ----------
    reads : NDArray[np.int64]
        How often each PE reads each bank, shape ``(pes, banks)`` with ``pes <= banks``.
    beats : int
        At least the largest sum of a row or column.

    Returns
    -------
    NDArray[np.int64]
        Shape ``(beats, pes)``. PE p meets bank b at least ``reads[p, b]`` times.

    Examples
    --------
    >>> bank_pattern(np.array([[1, 1], [1, 0]]), 2).tolist()
    [[1, 0], [0, 1]]
    """
    left = _filled(reads, beats)
    permutations: list[Index] = []
    counts: list[int] = []
    rows = np.arange(len(left))
    done = 0
    while done < beats:
        # A matching of the entries above zero exists, as all rows and columns sum to the same.
        _, bank = linear_sum_assignment(np.where(left > 0, left, -len(left) * beats), maximize=True)
        count = int(left[rows, bank].min())
        left[rows, bank] -= count
        permutations.append(bank[: len(reads)])
        counts.append(count)
        done += count
    repeats = np.array(counts)
    turn = np.arange(beats) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    phase = np.random.default_rng(0).random(len(repeats))
    even = (turn + np.repeat(phase, repeats)) / np.repeat(repeats, repeats)
    kind = np.repeat(np.arange(len(repeats)), repeats)[np.argsort(even, kind="stable")]
    return np.array(permutations, dtype=np.int64)[kind]


def _filled(reads: Index, beats: int) -> Index:
    """Make a square matrix not below `reads` of which each row and column sums to `beats`."""
    banks = reads.shape[1]
    square = np.zeros((banks, banks), dtype=np.int64)
    square[: len(reads)] = reads
    # The north-west corner rule: lay the two lists of gaps side by side and cut at both's ends.
    rows = np.cumsum(beats - square.sum(axis=1))
    columns = np.cumsum(beats - square.sum(axis=0))
    cuts = np.sort(np.concatenate([rows, columns]))
    sizes = np.diff(cuts, prepend=0)
    kept = sizes > 0
    row = np.searchsorted(rows, cuts[kept])
    column = np.searchsorted(columns, cuts[kept])
    square[row, column] += sizes[kept]
    return square


def in_cells(cell: Index, beat: Index, cells: Index) -> Index:
    """Give the places of each cell to its edges, in the order of the beats they would like.

    Parameters
    ----------
    cell, beat : NDArray[np.int64]
        For each edge: the cell (a tile, a PE and a bank) it is of, and the beat it would like.
    cells : NDArray[np.int64]
        For each beat and PE: the cell whose edge may be there.

    Returns
    -------
    NDArray[np.int64]
        The beat of each edge.
    """
    places = np.argsort(cells.ravel(), kind="stable")
    room = np.bincount(cells.ravel())
    first = np.cumsum(room) - room
    order = np.lexsort((beat, cell))
    counts = np.bincount(cell, minlength=len(room))
    rank = np.arange(len(cell)) - np.repeat(np.cumsum(counts) - counts, counts)
    mine = cell[order]
    # Where there is more room than edges, rests are spread among them.
    index = first[mine] + (2 * rank + 1) * room[mine] // (2 * counts[mine])
    beats = np.empty(len(cell), dtype=np.int64)
    beats[order] = places[index] // cells.shape[1]
    return beats
