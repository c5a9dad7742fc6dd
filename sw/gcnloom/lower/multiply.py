# SPDX-License-Identifier: Apache-2.0
"""One product by itself: sparse or dense matrix times a dense one."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from gcnloom.errors import ConfigError, DataError
from gcnloom.lower.builder import Builder, Output, Tensor
from gcnloom.lower.dense import gemm, groups, padded_inner
from gcnloom.lower.engines import check_sparse
from gcnloom.lower.matrix import StoredMatrix, place_matrix
from gcnloom.lower.sparse import spmm
from gcnloom.lower.tiling import tiling
from gcnloom.lower.turns import exhaust
from gcnloom.lower.work import row_sum_bits
from gcnloom.programs.program import Program
from gcnloom.scheduling.schedule import schedule
from gcnloom.tensors.memory import Allocator, TensorLayout
from gcnloom_spec.config import AcceleratorConfig

__all__ = ["Multiplication", "lower_gemm", "lower_spmm"]

Mantissas = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Multiplication:
    """A program for one product, what it needs in device memory and where the result is.

    Attributes
    ----------
    program : Program
    blobs : tuple of (int, bytes)
        Address and bytes of everything to be written first.
    result : TensorLayout
        Raw sums.
    """

    program: Program
    blobs: tuple[tuple[int, bytes], ...]
    result: TensorLayout


def lower_spmm(
    sparse: csr_array, dense: Mantissas, config: AcceleratorConfig, allocator: Allocator
) -> Multiplication:
    """Lower ``sparse @ dense`` of integer mantissas to the sparse engine."""
    check_sparse(config)
    _check(sparse, dense, config)
    plan = tiling(config, *sparse.shape, panels=1).by_rows()
    scheduled = schedule(
        sparse, config, max_rows=plan.rows, max_columns=plan.columns, max_slots=plan.slots
    )
    matrix = place_matrix(
        "sparse", scheduled, allocator, config, streamed=False, columns=plan.columns,
        part=plan.part,
    )  # fmt: skip
    operand = _placed("dense", dense.shape, "operand", config, allocator)
    result = _placed("result", (sparse.shape[0], dense.shape[1]), "sums", config, allocator)
    builder = Builder(config)
    for panel in range(operand.layout.panels):
        panels = range(panel, panel + 1)
        exhaust(spmm(builder, matrix, operand, Output(tensor=result, raw=True), panels))
    return _multiplication(builder, [(operand, dense)], result, matrix)


def lower_gemm(
    left: Mantissas, right: Mantissas, config: AcceleratorConfig, allocator: Allocator
) -> Multiplication:
    """Lower ``left @ right`` of integer mantissas to the systolic array."""
    _check(left, right, config)
    inner, columns = right.shape
    padded = np.zeros((padded_inner(inner, config), columns), dtype=np.int64)
    padded[:inner] = right
    features = _placed("left", left.shape, "operand", config, allocator)
    weights = _placed("right", padded.shape, "operand", config, allocator)
    result = _placed("result", (left.shape[0], columns), "sums", config, allocator)
    builder = Builder(config)
    for group in groups(result, config):
        exhaust(gemm(builder, features, weights, Output(tensor=result, raw=True), group))
    return _multiplication(builder, [(features, left), (weights, padded)], result, None)


def _check(left: Any, right: Mantissas, config: AcceleratorConfig) -> None:
    shapes = (*left.shape, *right.shape)
    if left.ndim != 2 or right.ndim != 2 or left.shape[1] != right.shape[0] or 0 in shapes:
        raise DataError(
            f"matrices of shapes {left.shape} and {right.shape} cannot be multiplied; "
            "try as many rows in the second as the first has columns, at least one"
        )
    bits = row_sum_bits(left, config.operand_width)
    if bits > config.sum_width:
        raise ConfigError(
            f"sums of this product could need {bits} bits and sum_width is "
            f"{config.sum_width}; try a configuration with sum_width = {bits}"
        )


def _placed(
    name: str, shape: tuple[int, ...], kind: str, config: AcceleratorConfig, allocator: Allocator
) -> Tensor:
    rows, features = shape
    layout = TensorLayout(config=config, rows=rows, features=features, kind=kind)
    layout = layout.at(allocator.allocate(name, layout.words))
    return Tensor(name=name, rows=rows, features=features, stored=layout)


def _multiplication(
    builder: Builder,
    operands: list[tuple[Tensor, Mantissas]],
    result: Tensor,
    matrix: StoredMatrix | None,
) -> Multiplication:
    def blobs() -> Iterator[tuple[int, bytes]]:
        if matrix is not None:
            yield from matrix.blobs(builder.config)
        for tensor, mantissas in operands:
            yield tensor.layout.address, tensor.layout.pack(mantissas)

    return Multiplication(program=builder.program(), blobs=tuple(blobs()), result=result.layout)
