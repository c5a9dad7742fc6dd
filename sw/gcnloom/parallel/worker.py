# SPDX-License-Identifier: Apache-2.0
"""One worker's device: single products, prepared once and run step by step."""

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from gcnloom.device import Device
from gcnloom.lower.builder import Output, Tensor
from gcnloom.lower.matrix import StoredMatrix
from gcnloom.lower.product import (
    lower_dense,
    lower_sparse,
    lower_transposed,
    panels_at_once,
    schedule_matrix,
)
from gcnloom.parallel.draft import Draft
from gcnloom.programs.program import Program
from gcnloom.tensors.memory import TensorLayout
from gcnloom_spec.registers import STATISTICS

__all__ = ["ENGINES", "Operator", "Worker"]

ENGINES = ("sparse", "dense")
Mantissas = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Operator:
    """A product that a device has been prepared for.

    Attributes
    ----------
    shape : tuple of int
        Of the result, or of those of its rows that are made.
    program : Program or None
        None where there is nothing to multiply: the result is zero.
    result : Tensor or None
    first : int
        First of its rows that is made.
    engine : {"sparse", "dense"}
    macs : int
        Necessary multiplications: of non-zeros, padding left out.
    """

    shape: tuple[int, int]
    program: Program | None
    result: Tensor | None
    engine: str
    macs: int
    first: int = 0


class Worker:
    """A device that multiplies for one worker.

    Parameters
    ----------
    device : Device
        Its memory is cleared, at once or by :meth:`settle`.
    seed : int
        First word of the key of every random draw.
    serial : bool
        Whether the device's units take turns, for comparison.
    draft : Draft, optional
        Takes what is placed and written until :meth:`settle`; the device is left alone.

    Attributes
    ----------
    envelopes, saturations : NDArray[np.int64]
        Of all products since :meth:`begin`, by tensor number.
    counters : Counter[str]
        Of the device, since :meth:`begin`.
    macs : Counter[str]
        Multiplications since :meth:`begin`, by engine.
    clipped : int
        Results that the host requantised and clipped, since :meth:`begin`.
    runs : int
        Programs that the device has run.
    seconds : float
        Time the device took for all runs.
    """

    def __init__(
        self, device: Device, *, seed: int, serial: bool, draft: Draft | None = None
    ) -> None:
        self.device, self.config = device, device.config
        self._desk: Device | Draft = device if draft is None else draft
        self.seed, self._serial = seed, serial
        self.runs, self.seconds = 0, 0.0
        self._matrices: dict[tuple[str, int], StoredMatrix] = {}
        if draft is None:
            device.clear()
        self.begin()

    def settle(self) -> None:
        """Give the draft to the device: from now on this is what places and writes."""
        if isinstance(self._desk, Draft):
            self._desk.give_to(self.device)
            self._desk = self.device

    def begin(self) -> None:
        """Forget what the products so far counted."""
        self.envelopes = np.zeros(STATISTICS, dtype=np.int64)
        self.saturations = np.zeros(STATISTICS, dtype=np.int64)
        self.clipped = 0
        self.counters: Counter[str] = Counter()
        self.macs: Counter[str] = Counter(dict.fromkeys(ENGINES, 0))

    def place(
        self, name: str, rows: int, features: int, *, kind: str = "operand",
        block: int | None = None,
    ) -> Tensor:  # fmt: skip
        """Place a matrix in device memory; one without elements is only named."""
        if not rows or not features:
            return Tensor(name=name, rows=rows, features=features)
        layout = TensorLayout(
            config=self.config, rows=rows, features=features, kind=kind, block=block
        )
        layout = layout.at(self._desk.memory.allocate(name, layout.words))
        return Tensor(name=name, rows=rows, features=features, stored=layout)

    def sparse(
        self, key: str, matrix: csr_array, operand: Tensor, output: Output, *, lead: int = 0
    ) -> Operator:
        """Prepare ``matrix @ operand``; matrices of one `key` are equal and stored once.

        The first `lead` columns of the operand are zero and not worth a count.
        """
        entries = matrix.count_nonzero()
        if not entries or operand.stored is None:
            return self._nothing(output, "sparse")
        panels = panels_at_once(operand.features, operand.rows, self.config)
        if (key, panels) not in self._matrices:
            stored = schedule_matrix(
                f"{key} by {panels}", matrix, self.config, self._desk.memory, panels=panels
            )
            for address, data in stored.blobs(self.config):
                self._desk.write_bytes(address, data)
            self._matrices[key, panels] = stored
        program = lower_sparse(
            self._matrices[key, panels], operand, output, self.config, panels=panels,
            serial=self._serial,
        )  # fmt: skip
        return self._operator(output, program, "sparse", int(entries) * (operand.features - lead))

    def dense(
        self, left: Tensor, weights: Tensor, output: Output, *, rows: range | None = None
    ) -> Operator:
        """Prepare ``left @ weights``, or some `rows` of it, the first of which begins a word."""
        rows = range(left.rows) if rows is None else rows
        shape = len(rows), output.tensor.features
        if left.stored is None or not rows:
            return Operator(shape=shape, program=None, result=None, engine="dense", macs=0)
        program = lower_dense(left, weights, output, self.config, rows=rows, serial=self._serial)
        return Operator(
            shape=shape, program=program, result=output.tensor, engine="dense",
            macs=shape[0] * left.features * shape[1], first=rows.start,
        )  # fmt: skip

    def transposed(self, left: Tensor, right: Tensor, output: Output) -> Operator:
        """Prepare ``left.T @ right``."""
        if left.stored is None:
            return self._nothing(output, "dense")
        program = lower_transposed(left, right, output, self.config, serial=self._serial)
        return self._operator(output, program, "dense", left.rows * left.features * right.features)

    def write(self, tensor: Tensor, mantissas: Mantissas) -> None:
        """Write a matrix; rows that it lacks are zero."""
        if tensor.stored is None:
            return
        padded = np.zeros((tensor.rows, tensor.features), dtype=np.int64)
        padded[: mantissas.shape[0]] = mantissas
        self._desk.write(tensor.layout, padded)

    def run(self, operator: Operator, shifts: Mapping[int, int], step: int) -> Mantissas:
        """Multiply; return the result as it left the epilogue.

        Parameters
        ----------
        operator : Operator
        shifts : mapping of int to int
            Right shifts of requantising, by tensor number.
        step : int
            Second word of the key of every random draw.
        """
        if operator.program is None or operator.result is None:
            return np.zeros(operator.shape, dtype=np.int64)
        begin = time.perf_counter()
        result = self.device.run(operator.program.with_shifts(shifts), seed=self.seed, step=step)
        self.seconds += time.perf_counter() - begin
        self.envelopes |= result.envelopes
        self.saturations += result.saturations
        self.counters.update(result.counters)
        self.macs[operator.engine] += operator.macs
        self.runs += 1
        return self._read(operator.result.layout, operator.first, *operator.shape)

    def run_each(
        self, operators: Sequence[Operator], shifts: Mapping[int, int], step: int
    ) -> Iterator[Mantissas]:
        """Multiply one after the other, as results are asked for; see :meth:`run`."""
        for operator in operators:
            yield self.run(operator, shifts, step)

    def _read(self, layout: TensorLayout, first: int, rows: int, features: int) -> Mantissas:
        """Read rows of a matrix."""
        if rows == layout.rows:
            return self.device.read(layout)
        panels = [
            self.device.read(layout.of_panel(panel, range(first, first + rows)))
            for panel in range(layout.panels)
        ]
        return np.concatenate(panels, axis=1)[:, :features]

    def _nothing(self, output: Output, engine: str) -> Operator:
        shape = output.tensor.rows, output.tensor.features
        return Operator(shape=shape, program=None, result=None, engine=engine, macs=0)

    def _operator(self, output: Output, program: Program, engine: str, macs: int) -> Operator:
        tensor = output.tensor
        return Operator(
            shape=(tensor.rows, tensor.features), program=program, result=tensor, engine=engine,
            macs=macs,
        )  # fmt: skip
