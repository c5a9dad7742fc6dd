# SPDX-License-Identifier: Apache-2.0
"""Fetching the features of inputs, through a cache that visitors who come once do not empty."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, issparse, vstack

from gcnloom.errors import ConfigError
from gcnloom.parallel.scheme import wire_type

__all__ = ["FeatureCache", "Residents"]

Vertices = NDArray[np.int64]
HALF_LIFE = 8.0
"""Batches after which a use counts half."""
LARGEST = 2.0**512
"""What a use may count before all counts are scaled down."""
INDEX_BYTES = 4
"""Of a non-zero's column, and of a sparse row's length."""


class Residents:
    """Which vertices a cache holds: those used most often, earlier uses counting less.

    A vertex gets in only if it has been used more than one that would have to leave, as in
    TinyLFU (Einziger, Friedman and Manes, 2017; here the counts are exact). A scan of vertices
    that are used once thus leaves the others alone, where a cache of the least recently used,
    smaller than a batch, would forget each vertex before it comes again.

    Parameters
    ----------
    vertices : int
        Of the graph.
    capacity : int
        Vertices that are held at most.
    """

    def __init__(self, vertices: int, capacity: int) -> None:
        self._uses = np.zeros(vertices)
        self._worth, self._capacity = 1.0, capacity
        self.held: Vertices = np.zeros(0, dtype=np.int64)
        """Ascending."""

    def use(self, batch: Vertices) -> NDArray[np.bool_]:
        """Whether each vertex of a batch was held; then choose whom to hold.

        Parameters
        ----------
        batch : NDArray[np.int64]
            Vertices, each once.
        """
        there = np.isin(batch, self.held, assume_unique=True)
        self._worth *= 2.0 ** (1 / HALF_LIFE)
        if self._worth > LARGEST:
            self._uses /= self._worth
            self._worth = 1.0
        self._uses[batch] += self._worth
        candidates = np.concatenate([self.held, batch[~there]])
        # The sort is stable: of equals those that are held stay.
        order = np.argsort(-self._uses[candidates], kind="stable")
        self.held = np.sort(candidates[order[: self._capacity]])
        return there


class FeatureCache:
    """Features of the whole graph, fetched row by row but for those that are held.

    Parameters
    ----------
    features : csr_array of int or NDArray[np.int64]
        Mantissas, where fetching takes them from.
    operand_width : int
        Bits of a mantissa.
    capacity : int
        Rows held at most; 0 holds none.

    Attributes
    ----------
    asked, fetched : int
        Rows so far: asked for, and not held.
    fetched_bytes : int
        Of the rows fetched; a sparse row is its columns with their mantissas, and its length.
    """

    def __init__(self, features: Any, operand_width: int, capacity: int = 0) -> None:
        if type(capacity) is not int or capacity < 0:
            raise ConfigError(f"cache={capacity!r} is no number of rows from 0 on; try 0")
        self._features = features
        self._residents = Residents(features.shape[0], capacity)
        self._rows = features[:0]
        self._element = wire_type(operand_width).itemsize
        self.asked = self.fetched = self.fetched_bytes = 0

    @property
    def totals(self) -> dict[str, int]:
        """Numbers of rows and bytes so far, by the names of the attributes."""
        return {
            "asked": self.asked, "fetched": self.fetched, "fetched_bytes": self.fetched_bytes
        }  # fmt: skip

    def fetch(self, vertices: Vertices) -> Any:
        """Features of `vertices`, ascending and each once, in the form of the whole graph's."""
        before = self._residents.held
        hit = self._residents.use(vertices)
        fresh = self._features[vertices[~hit]]
        self.asked += len(vertices)
        self.fetched += fresh.shape[0]
        self.fetched_bytes += self._bytes(fresh)
        known = np.concatenate([before, vertices[~hit]])
        order = np.argsort(known)
        rows = _stack(self._rows, fresh)

        def of(wanted: Vertices) -> Any:
            return rows[order[np.searchsorted(known, wanted, sorter=order)]]

        self._rows = of(self._residents.held)
        return of(vertices)

    def _bytes(self, rows: Any) -> int:
        if issparse(rows):
            return (
                int(rows.nnz) * (self._element + INDEX_BYTES) + len(rows.indptr[1:]) * INDEX_BYTES
            )
        return int(rows.size) * self._element


def _stack(above: Any, below: Any) -> Any:
    if issparse(above):
        return csr_array(vstack([above, below], format="csr"))
    return np.concatenate([above, below])
