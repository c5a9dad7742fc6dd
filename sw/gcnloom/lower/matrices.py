# SPDX-License-Identifier: Apache-2.0
"""The sparse matrices of a network, and their leading blocks, scheduled as they are asked for."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, issparse

from gcnloom.lower.matrix import StoredMatrix, place_matrix
from gcnloom.lower.stack import Stack
from gcnloom.lower.tiling import Tiling, tiling
from gcnloom.scheduling.schedule import Schedule, schedule
from gcnloom.tensors.memory import Allocator
from gcnloom_spec.config import AcceleratorConfig

__all__ = ["Matrices"]


@dataclass(frozen=True)
class _Block:
    """A matrix that is made when its schedule is."""

    name: str
    shape: tuple[int, int]
    matrix: Callable[[], csr_array]

    def key(self, plan: Tiling) -> str:
        return f"{self.name} {plan.rows}x{plan.columns}/{plan.part} in {plan.slots}"


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
    one : int
        Mantissa of 1 at the adjacency's exponent, the weight of root terms.

    Attributes
    ----------
    sparse_input : bool
        Whether the features are sparse.
    """

    def __init__(
        self, adjacency: csr_array, features: Any, config: AcceleratorConfig, allocator: Allocator,
        one: int = 0,
    ) -> None:  # fmt: skip
        self._config, self._allocator = config, allocator
        self._adjacency, self._features, self._one = adjacency, features, one
        self._symmetric = not abs(adjacency - csr_array(adjacency.T)).nnz
        self.sparse_input = issparse(features)
        self._schedules: dict[str, Schedule] = {}
        self._stored: dict[str, StoredMatrix] = {}

    def __iter__(self) -> Iterator[StoredMatrix]:
        return iter(self._stored.values())

    def adjacency(
        self, stack: Stack, *, panels: int, beside: int = 0, part: int = 0, streamed: bool = True
    ) -> StoredMatrix:
        """First rows and columns of the adjacency, with ones behind for a root term.

        `panels` of its operand are multiplied at a time, and made by the array, or out of
        `beside` rows of another operand by the sparse engine. Results leave `part` rows at a
        time (0: as is best). It is `streamed` only where that fits.
        """
        return self._square(
            self._block(stack), panels=panels, beside=beside, part=part, streamed=streamed
        )

    def adjacency_transposed(
        self, stack: Stack, *, panels: int, part: int = 0, streamed: bool = True
    ) -> StoredMatrix:
        """Return the transpose of that."""
        block = self._block(stack, transposed=True)
        return self._square(block, panels=panels, part=part, streamed=streamed)

    def features(self, stack: Stack, *, panels: int, part: int) -> StoredMatrix:
        """Features of the first nodes, in blocks of at most `part` rows."""
        block = self._inputs(stack)
        plan = tiling(self._config, *block.shape, panels=panels).by_rows(part)
        return self._placed(block, plan)

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
        return int(self._adjacency[:rows, :columns].count_nonzero())

    def features_transposed(
        self, stack: Stack, *, panels: int, streamed: bool = True
    ) -> StoredMatrix:
        """Return the transpose of the features of the first nodes."""
        block = self._inputs(stack, transposed=True)
        return self._square(block, panels=panels, streamed=streamed)

    @property
    def inputs(self) -> int:
        """Features of a node."""
        return int(self._features.shape[1])

    def _block(self, stack: Stack, *, transposed: bool = False) -> _Block:
        """Adjacency of a layer."""
        along = "adjacency_transposed" if transposed else "adjacency"
        shape = (stack.rows, stack.own) if transposed else (stack.own, stack.rows)
        if stack.root:
            name = f"{along} of {stack.heard} with roots[:{shape[0]}, :{shape[1]}]"
            return _Block(
                name, shape, lambda: _turned(
                    stack.beside_identity(self._adjacency, self._one), transposed=transposed
                ),
            )  # fmt: skip
        turned = transposed and not self._symmetric
        name = f"{along if turned else 'adjacency'}[:{shape[0]}, :{shape[1]}]"
        return _Block(
            name, shape, lambda: csr_array(
                _turned(self._adjacency, transposed=turned)[: shape[0], : shape[1]]
            ),
        )  # fmt: skip

    def _inputs(self, stack: Stack, *, transposed: bool = False) -> _Block:
        """Sparse features of the rows of the first layer's operand."""
        shape = stack.rows, self.inputs * (2 if stack.root else 1)
        shape = shape[::-1] if transposed else shape
        along = "features_transposed" if transposed else "features"
        name = f"{along} of {stack.heard}[:{shape[0]}, :{shape[1]}]"
        return _Block(
            name, shape, lambda: _turned(stack.twice(self._features), transposed=transposed)
        )

    def _square(
        self, block: _Block, *, panels: int, beside: int = 0, part: int = 0, streamed: bool
    ) -> StoredMatrix:
        plan = tiling(
            self._config, *block.shape, panels=panels, beside=beside, part=part, streamed=streamed
        )
        if plan.streamed:
            scheduled = self._schedule(block, plan)
            if not plan.holds(sum(each.slots for each in scheduled.blocks)):
                plan = plan.by_rows()
        return self._placed(block, plan)

    def _schedule(self, block: _Block, plan: Tiling) -> Schedule:
        key = block.key(plan)
        if key not in self._schedules:
            self._schedules[key] = schedule(
                block.matrix(), self._config, max_rows=plan.rows, max_columns=plan.columns,
                max_slots=plan.slots,
            )  # fmt: skip
        return self._schedules[key]

    def _placed(self, block: _Block, plan: Tiling) -> StoredMatrix:
        key = block.key(plan)
        if key not in self._stored:
            self._stored[key] = place_matrix(
                key, self._schedule(block, plan), self._allocator, self._config,
                streamed=plan.streamed, columns=plan.columns, part=plan.part,
            )  # fmt: skip
        return self._stored[key]


def _turned(matrix: csr_array, *, transposed: bool) -> csr_array:
    return csr_array(matrix.T) if transposed else matrix
