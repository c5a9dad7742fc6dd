# SPDX-License-Identifier: Apache-2.0
"""The sparse matrices of a network, and their leading blocks, scheduled as they are asked for."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, issparse

from gcnloom.lower.matrix import StoredMatrix, place_matrix
from gcnloom.lower.tiling import Tiling, tiling
from gcnloom.scheduling.schedule import Schedule, schedule
from gcnloom.tensors.memory import Allocator
from gcnloom_spec.config import AcceleratorConfig

__all__ = ["Matrices"]


class Matrices:
    """Leading blocks of the adjacency and of sparse features, each scheduled and placed once.

    Parameters
    ----------
    adjacency : csr_array of int
    features : csr_array of int or NDArray[np.int64]
        Dense ones are a matrix of the sparse engine only where it shares their product.
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
        self._features = features
        self._schedules: dict[str, Schedule] = {}
        self._stored: dict[str, StoredMatrix] = {}

    def __iter__(self) -> Iterator[StoredMatrix]:
        return iter(self._stored.values())

    def adjacency(
        self, rows: int, columns: int, *, panels: int, beside: int = 0, part: int = 0,
        streamed: bool = True,
    ) -> StoredMatrix:  # fmt: skip
        """First rows and columns of the adjacency.

        `panels` of its operand are multiplied at a time, and made by the array, or out of
        `beside` rows of another operand by the sparse engine. Results leave `part` rows at a
        time (0: as is best). It is `streamed` only where that fits.
        """
        return self._square(
            "adjacency", rows, columns, panels=panels, beside=beside, part=part, streamed=streamed
        )

    def adjacency_transposed(
        self, rows: int, columns: int, *, panels: int, part: int = 0, streamed: bool = True
    ) -> StoredMatrix:
        """First rows and columns of its transpose."""
        name = "adjacency" if self._symmetric else "adjacency_transposed"
        return self._square(name, rows, columns, panels=panels, part=part, streamed=streamed)

    def features(self, rows: int, *, panels: int, part: int) -> StoredMatrix:
        """Features of the first nodes, in blocks of at most `part` rows."""
        columns = self._whole["features"].shape[1]
        plan = tiling(self._config, rows, columns, panels=panels).by_rows(part)
        return self._block("features", rows, columns, plan)

    def dense_features(self, rows: int) -> NDArray[np.int64]:
        """Dense features of the first nodes."""
        return np.asarray(self._features[:rows])

    def features_part(self, rows: range, *, panels: int, part: int) -> StoredMatrix:
        """Dense features of some nodes, one of the parts of `part` rows, as edges."""
        plan = tiling(self._config, len(rows), self.inputs, panels=panels).by_rows(part)
        key = f"features[{rows.start}:{rows.stop}] {plan.rows}x{plan.columns}/{plan.part}"
        if key not in self._stored:
            scheduled = schedule(
                csr_array(self._features[rows.start : rows.stop]), self._config,
                max_rows=plan.rows, max_columns=plan.columns, max_slots=plan.slots,
            )  # fmt: skip
            self._stored[key] = place_matrix(
                key, scheduled, self._allocator, self._config, streamed=False,
                columns=plan.columns, part=plan.part, first=rows.start,
            )  # fmt: skip
        return self._stored[key]

    def edges(self, rows: int, columns: int) -> int:
        """Non-zeros of the first rows and columns of the adjacency."""
        return int(self._whole["adjacency"][:rows, :columns].count_nonzero())

    def features_transposed(
        self, columns: int, *, panels: int, streamed: bool = True
    ) -> StoredMatrix:
        """Their transpose."""
        return self._square(
            "features_transposed", self.inputs, columns, panels=panels, streamed=streamed
        )

    @property
    def inputs(self) -> int:
        """Features of a node."""
        return int(self._features.shape[1])

    def _square(
        self, name: str, rows: int, columns: int, *, panels: int, beside: int = 0, part: int = 0,
        streamed: bool,
    ) -> StoredMatrix:  # fmt: skip
        plan = tiling(
            self._config, rows, columns, panels=panels, beside=beside, part=part, streamed=streamed
        )
        if plan.streamed:
            scheduled = self._schedule(name, rows, columns, plan)
            if not plan.holds(sum(block.slots for block in scheduled.blocks)):
                plan = plan.by_rows()
        return self._block(name, rows, columns, plan)

    def _key(self, name: str, rows: int, columns: int, plan: Tiling) -> str:
        sizes = f"{plan.rows}x{plan.columns}/{plan.part} in {plan.slots}"
        return f"{name}[:{rows}, :{columns}] {sizes}"

    def _schedule(self, name: str, rows: int, columns: int, plan: Tiling) -> Schedule:
        key = self._key(name, rows, columns, plan)
        if key not in self._schedules:
            self._schedules[key] = schedule(
                csr_array(self._whole[name][:rows, :columns]), self._config, max_rows=plan.rows,
                max_columns=plan.columns, max_slots=plan.slots,
            )  # fmt: skip
        return self._schedules[key]

    def _block(self, name: str, rows: int, columns: int, plan: Tiling) -> StoredMatrix:
        key = self._key(name, rows, columns, plan)
        if key not in self._stored:
            self._stored[key] = place_matrix(
                key, self._schedule(name, rows, columns, plan), self._allocator, self._config,
                streamed=plan.streamed, columns=plan.columns, part=plan.part,
            )  # fmt: skip
        return self._stored[key]
