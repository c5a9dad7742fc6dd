# SPDX-License-Identifier: Apache-2.0
"""The dense engine of the model: the systolic array and its sum memory."""

import numpy as np
from numpy.typing import NDArray

from gcnloom.errors import ProgramError
from gcnloom_sim.model.checks import check_range
from gcnloom_spec.commands import Transform
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import Mode
from gcnloom_spec.number import wrap

__all__ = ["DenseEngine"]


class DenseEngine:
    """Sum memory, and the sums inside the array while an output-stationary run lasts."""

    def __init__(self, config: AcceleratorConfig) -> None:
        self.config = config
        self._sums = np.zeros((config.sum_depth, config.columns), dtype=np.int64)
        self._array: NDArray[np.int64] | None = None

    def transform(
        self, command: Transform, left: NDArray[np.int64], right: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Execute a :class:`Transform`; return the emitted sums, a row a vector."""
        check_range("slice", command.slice, 1, self.config.left_slices)
        check_range("bank", command.bank, 1, self.config.right_banks)
        if command.mode == Mode.OUTPUT_STATIONARY:
            rows = self._output_stationary(command, left, right)
        else:
            self._array = None
            if command.mode == Mode.WEIGHT_STATIONARY:
                rows = self._weight_stationary(command, left, right)
            elif command.mode == Mode.PASS:
                rows = self._pass(command)
            else:
                raise ProgramError(f"mode {command.mode} is unknown; try one of isa.Mode")
        if not command.last:
            rows = rows[:0]
        lanes = self.config.lanes
        return rows[:, command.bank * lanes : (command.bank + 1) * lanes]

    def _weight_stationary(
        self, command: Transform, left: NDArray[np.int64], right: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        weights = right[check_range("right", command.right_base, self.config.rows, len(right))]
        part = check_range("sums", command.sum_base, command.count, len(self._sums))
        total = _product(self._left(command, left), weights)
        if not command.first:
            total = total + self._sums[part]
        total = wrap(total, self.config.sum_width)
        self._sums[part] = total
        return total

    def _output_stationary(
        self, command: Transform, left: NDArray[np.int64], right: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        rights = right[check_range("right", command.right_base, command.count, len(right))]
        total = _product(self._left(command, left).T, rights)
        if not command.first:
            if self._array is None:
                raise ProgramError(
                    "output-stationary without `first` has no sums to add to; "
                    "try no other mode between `first` and `last`"
                )
            total = total + self._array
        self._array = wrap(total, self.config.sum_width)
        if not command.last:
            return self._array
        part = check_range("sums", command.sum_base, self.config.rows, len(self._sums))
        self._sums[part] = self._array
        self._array = None
        return self._sums[part]

    def _pass(self, command: Transform) -> NDArray[np.int64]:
        if not command.last:
            raise ProgramError("a pass without `last` does nothing; try last=1")
        return self._sums[check_range("sums", command.sum_base, command.count, len(self._sums))]

    def _left(self, command: Transform, left: NDArray[np.int64]) -> NDArray[np.int64]:
        part = check_range("left", command.left_base, command.count, len(left))
        rows = self.config.rows
        return left[part, command.slice * rows : (command.slice + 1) * rows]


def _product(a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.int64]:
    # At most 2**16 products of 2**30: float64 holds every partial sum exactly, and is fast.
    return (a.astype(np.float64) @ b.astype(np.float64)).astype(np.int64)
