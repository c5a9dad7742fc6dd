# SPDX-License-Identifier: Apache-2.0
"""Receptive fields: which nodes' rows the loss sees through each layer."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

__all__ = ["ReceptiveField"]


@dataclass(frozen=True, kw_only=True, eq=False)
class ReceptiveField:
    """Rings of nodes around those whose last rows enter the loss.

    Layer ``l`` has to be known on the set ``S[l]``: ``S[layers]`` are the loss's nodes and
    ``S[l - 1]`` is ``S[l]`` with every node it listens to. The sets are nested, so in an order
    by ring each is a prefix.

    Attributes
    ----------
    ring : NDArray[np.int64]
        Of each node: 0 in ``S[layers]``, 1 in ``S[layers - 1]`` only, ...; ``layers + 1`` where
        the loss sees nothing of it.
    rows : tuple of int
        Sizes of ``S[0]``, ``S[1]``, ... ``S[layers]``.
    """

    ring: NDArray[np.int64]
    rows: tuple[int, ...]

    @classmethod
    def of(cls, adjacency: csr_array, nodes: NDArray[np.int64], layers: int) -> "ReceptiveField":
        """Receptive field of `nodes`; of all nodes where there are none, as no loss sees less.

        Parameters
        ----------
        adjacency : csr_array
            Rows are targets. Stored zeros are no edges.
        nodes : NDArray[np.int64]
            Those of the loss, possibly repeated.
        layers : int
        """
        edges = csr_array(adjacency, copy=True)
        edges.eliminate_zeros()
        ring = np.full(edges.shape[0], layers + 1, dtype=np.int64)
        ring[nodes if len(nodes) else slice(None)] = 0
        for number in range(1, layers + 1):
            heard = np.unique(edges[np.flatnonzero(ring == number - 1)].indices)
            ring[heard] = np.minimum(ring[heard], number)
        inside = [int(np.count_nonzero(ring <= number)) for number in range(layers, -1, -1)]
        return cls(ring=ring, rows=tuple(inside))

    def sort(self, order: NDArray[np.int64]) -> NDArray[np.int64]:
        """Nodes ring by ring, within each ring as in `order`."""
        return order[np.argsort(self.ring[order], kind="stable")]
