# SPDX-License-Identifier: Apache-2.0
"""Cutting: node orders that keep neighbours together, blocks of a range, tiles of a matrix."""

from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import reverse_cuthill_mckee

from gcnloom.errors import DataError

__all__ = ["blocks", "node_order", "node_parts", "tiles"]


def node_order(adjacency: Any, parts: int, *, metis: bool | None = None) -> NDArray[np.int64]:
    """Permutation of the nodes in which neighbours are close.

    Parameters
    ----------
    adjacency : csr_array
        Nodes by nodes; directions are ignored.
    parts : int
        Into how many parts METIS cuts the graph; nodes of a part come together.
    metis : bool, optional
        Whether to use METIS (package `pymetis`) or SciPy's reverse Cuthill-McKee ordering,
        which knows no parts. Left out: METIS where it is installed.

    Returns
    -------
    NDArray[np.int64]
        ``order[new] = old``. Equal inputs give equal orders.
    """
    nodes = adjacency.shape[0]
    if not 1 <= parts <= nodes:
        raise ValueError(f"parts={parts} is outside 1..{nodes}, the number of nodes")
    pattern = _symmetric_pattern(adjacency)
    if metis is None:
        metis = find_spec("pymetis") is not None
    if not metis:
        return np.asarray(reverse_cuthill_mckee(pattern, symmetric_mode=True), dtype=np.int64)
    if parts == 1:
        return np.arange(nodes, dtype=np.int64)
    return np.argsort(_metis_parts(pattern, parts), kind="stable").astype(np.int64)


def node_parts(adjacency: Any, parts: int) -> NDArray[np.int64]:
    """Part of each node, by METIS: parts of like size, few edges between them.

    Parameters
    ----------
    adjacency : csr_array
        Nodes by nodes; directions are ignored.
    parts : int
        At least one; some may stay empty.

    Returns
    -------
    NDArray[np.int64]
        Equal inputs give equal parts.

    Raises
    ------
    DataError
        Package `pymetis` is not installed.
    """
    if parts == 1:
        return np.zeros(adjacency.shape[0], dtype=np.int64)
    if find_spec("pymetis") is None:
        raise DataError(
            f"cutting a graph into {parts} parts needs pymetis; "
            "try `pip install 'gcnloom[partition]'`"
        )
    return _metis_parts(_symmetric_pattern(adjacency), parts)


def blocks(total: int, size: int) -> list[range]:
    """Cut ``range(total)`` into consecutive ranges of `size`, the last possibly shorter.

    Examples
    --------
    >>> blocks(5, 2)
    [range(0, 2), range(2, 4), range(4, 5)]
    """
    if size < 1:
        raise ValueError(f"size={size} is not positive")
    return [range(start, min(start + size, total)) for start in range(0, total, size)]


def tiles(shape: tuple[int, int], tile_rows: int, tile_columns: int) -> list[tuple[range, range]]:
    """Cut a matrix into tiles: pairs of row and column ranges, row block by row block.

    Examples
    --------
    >>> tiles((2, 3), 2, 2)
    [(range(0, 2), range(0, 2)), (range(0, 2), range(2, 3))]
    """
    columns = blocks(shape[1], tile_columns)
    return [(row, column) for row in blocks(shape[0], tile_rows) for column in columns]


def _symmetric_pattern(adjacency: Any) -> csr_array:
    """Ones where either direction has an edge, without loops, indices sorted."""
    pattern = csr_array(adjacency, dtype=np.float64, copy=True)
    pattern.sum_duplicates()
    pattern.data[:] = 1.0
    pattern = csr_array(pattern + pattern.T).tocoo()
    row, column = pattern.coords
    keep = row != column
    ones = np.ones(np.count_nonzero(keep), dtype=np.int32)
    return csr_array((ones, (row[keep], column[keep])), shape=pattern.shape)


def _metis_parts(pattern: csr_array, parts: int) -> NDArray[np.int64]:
    """Part of each node by METIS, with a fixed seed."""
    import pymetis

    graph = pymetis.CSRAdjacency(pattern.indptr, pattern.indices)
    _, membership = pymetis.part_graph(parts, graph, options=pymetis.Options(seed=0))
    return np.asarray(membership, dtype=np.int64)
