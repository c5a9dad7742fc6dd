# SPDX-License-Identifier: Apache-2.0
"""Blocks of weights, one below the other, each where a memory word begins."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Blocks"]

Array = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Blocks:
    """Where the blocks of a tensor of weights lie.

    Parameters
    ----------
    count : int
    rows : int
        Of each block.
    pitch : int
        Rows from the start of one to that of the next.
    """

    count: int
    rows: int
    pitch: int

    @property
    def behind(self) -> int:
        """Rows before the last block."""
        return (self.count - 1) * self.pitch

    def spread(self, weights: Array, rows: int) -> Array:
        """Put blocks in their places in a tensor of so many rows, zeros between them.

        Parameters
        ----------
        weights : NDArray[np.int64]
            Shape ``(count * self.rows, features)``.
        rows : int

        Returns
        -------
        NDArray[np.int64]
            Shape ``(rows, features)``.
        """
        padded = np.zeros((rows, weights.shape[1]), dtype=np.int64)
        for number in range(self.count):
            block = weights[number * self.rows : (number + 1) * self.rows]
            padded[number * self.pitch : number * self.pitch + self.rows] = block
        return padded

    def collect(self, padded: NDArray[np.int64]) -> Array:
        """Blocks of a tensor without what lies between them; inverse of :meth:`spread`."""
        starts = [number * self.pitch for number in range(self.count)]
        return np.concatenate([padded[start : start + self.rows] for start in starts])

    def transposed(self, weights: Array) -> Array:
        """Transpose each block of weights that have these rows."""
        return np.concatenate([
            weights[number * self.rows : (number + 1) * self.rows].T
            for number in range(self.count)
        ])  # fmt: skip
