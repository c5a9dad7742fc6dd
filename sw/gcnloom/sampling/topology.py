# SPDX-License-Identifier: Apache-2.0
"""What samplers choose from: normalised edges by target, loops apart."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from gcnloom.graphs.graph import Graph, gcn_norm

__all__ = ["Edges", "Topology"]

Vertices = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Edges:
    """Edges into a list of targets.

    Attributes
    ----------
    target : NDArray[np.int64]
        Place in the list, not descending.
    source : NDArray[np.int64]
        Vertices.
    weight : NDArray[np.float64]
    """

    target: Vertices
    source: Vertices
    weight: NDArray[np.float64]

    def where(self, kept: NDArray[np.bool_]) -> "Edges":
        """Return those that are kept."""
        return Edges(target=self.target[kept], source=self.source[kept], weight=self.weight[kept])


@dataclass(frozen=True, kw_only=True, eq=False)
class Topology:
    """A graph's normalised adjacency: what a vertex listens to, and itself.

    Attributes
    ----------
    between : csr_array
        Float64, rows are targets; no loops, no zeros.
    loops : NDArray[np.float64]
        Weight of each vertex's loop.
    """

    between: csr_array
    loops: NDArray[np.float64]

    @classmethod
    def of(cls, graph: Graph) -> "Topology":
        """Topology of a graph under :func:`~gcnloom.graphs.graph.gcn_norm`."""
        return cls.normalised(gcn_norm(graph.adjacency))

    @classmethod
    def normalised(cls, matrix: csr_array) -> "Topology":
        """Topology of a matrix whose weights are as they should be."""
        loops = matrix.diagonal()
        row = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
        keep = (row != matrix.indices) & (matrix.data != 0)
        places = row[keep], matrix.indices[keep]
        between = csr_array((matrix.data[keep], places), shape=matrix.shape)
        return cls(between=between, loops=np.asarray(loops, dtype=np.float64))

    @property
    def vertices(self) -> int:
        """Number of vertices."""
        return len(self.loops)

    def degree(self, vertices: Vertices) -> Vertices:
        """How many others each vertex listens to."""
        indptr = self.between.indptr
        degree: Vertices = (indptr[vertices + 1] - indptr[vertices]).astype(np.int64)
        return degree

    def into(self, targets: Vertices) -> Edges:
        """All edges into `targets` but for loops."""
        count = self.degree(targets)
        ends = np.cumsum(count)
        total = int(ends[-1]) if len(ends) else 0
        offset = self.between.indptr[targets] - (ends - count)
        place = np.arange(total) + np.repeat(offset, count)
        return Edges(
            target=np.repeat(np.arange(len(targets)), count),
            source=self.between.indices[place].astype(np.int64),
            weight=self.between.data[place],
        )
