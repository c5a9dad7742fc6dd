# SPDX-License-Identifier: Apache-2.0
"""The sparse matrices of a network, and their leading blocks, scheduled as they are asked for."""

from collections.abc import Iterator
from typing import Any

from scipy.sparse import csr_array, issparse

from gcnloom.lower.matrix import StoredMatrix, place_matrix
from gcnloom.lower.products import column_limit, row_limit
from gcnloom.scheduling.schedule import schedule
from gcnloom.tensors.memory import Allocator
from gcnloom_spec.config import AcceleratorConfig

__all__ = ["Matrices"]


class Matrices:
    """Leading blocks of the adjacency and of sparse features, each scheduled and placed once.

    Parameters
    ----------
    adjacency : csr_array of int
    features : csr_array of int or NDArray[np.int64]
        Dense ones are no matrix of the sparse engine.
    config : AcceleratorConfig
    allocator : Allocator
        Of the device's memory.

    Attributes
    ----------
    sparse_input : bool
        Whether the features are sparse.
    """

    def __init__(
        self, adjacency: csr_array, features: Any, config: AcceleratorConfig, allocator: Allocator
    ) -> None:
        self._config, self._allocator = config, allocator
        self._whole = {"adjacency": adjacency}
        transposed = csr_array(adjacency.T)
        self._symmetric = not abs(adjacency - transposed).nnz
        if not self._symmetric:
            self._whole["adjacency_transposed"] = transposed
        self.sparse_input = issparse(features)
        if self.sparse_input:
            self._whole |= {"features": features, "features_transposed": csr_array(features.T)}
        self._stored: dict[str, StoredMatrix] = {}

    def __iter__(self) -> Iterator[StoredMatrix]:
        return iter(self._stored.values())

    def adjacency(self, rows: int, columns: int) -> StoredMatrix:
        """First rows and columns of the adjacency."""
        return self._block("adjacency", rows, columns)

    def adjacency_transposed(self, rows: int, columns: int) -> StoredMatrix:
        """First rows and columns of its transpose."""
        name = "adjacency" if self._symmetric else "adjacency_transposed"
        return self._block(name, rows, columns)

    def features(self, rows: int) -> StoredMatrix:
        """Features of the first nodes."""
        return self._block("features", rows, self._whole["features"].shape[1])

    def features_transposed(self, columns: int) -> StoredMatrix:
        """Their transpose."""
        name = "features_transposed"
        return self._block(name, self._whole[name].shape[0], columns)

    def _block(self, name: str, rows: int, columns: int) -> StoredMatrix:
        whole, config = self._whole[name], self._config
        if (rows, columns) != whole.shape:
            name = f"{name}[:{rows}, :{columns}]"
        if name not in self._stored:
            scheduled = schedule(
                csr_array(whole[:rows, :columns]), config, max_rows=row_limit(config),
                max_columns=column_limit(columns, config),
            )  # fmt: skip
            self._stored[name] = place_matrix(name, scheduled, self._allocator, config)
        return self._stored[name]
