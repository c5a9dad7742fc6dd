# SPDX-License-Identifier: Apache-2.0
"""One product of a layer with its epilogue, where other devices have a part in the layer."""

from scipy.sparse import csr_array

from gcnloom.lower.builder import Builder, Output, Tensor
from gcnloom.lower.dense import gemm_steps, gemm_transposed, groups
from gcnloom.lower.interleave import finished
from gcnloom.lower.matrix import StoredMatrix, place_matrix
from gcnloom.lower.sparse import spmm
from gcnloom.lower.tiling import batches, replayed, tiling
from gcnloom.lower.turns import exhaust
from gcnloom.programs.program import Program
from gcnloom.scheduling.schedule import schedule
from gcnloom.tensors.memory import Allocator
from gcnloom_spec.config import AcceleratorConfig

__all__ = ["lower_dense", "lower_sparse", "lower_transposed", "panels_at_once", "schedule_matrix"]


def panels_at_once(features: int, inner: int, config: AcceleratorConfig) -> int:
    """Panels of an operand of `inner` rows that go through the same edges."""
    return replayed(-(-features // config.lanes), inner, config)


def schedule_matrix(
    name: str, matrix: csr_array, config: AcceleratorConfig, allocator: Allocator, *, panels: int
) -> StoredMatrix:
    """Schedule integer mantissas for a product of so many panels at a time; place them."""
    plan = tiling(config, *matrix.shape, panels=panels).by_rows()
    scheduled = schedule(
        matrix, config, max_rows=plan.rows, max_columns=plan.columns, max_slots=plan.slots
    )
    return place_matrix(
        name, scheduled, allocator, config, streamed=False, columns=plan.columns, part=plan.part
    )


def lower_sparse(
    matrix: StoredMatrix, operand: Tensor, output: Output, config: AcceleratorConfig, *,
    panels: int, serial: bool = False,
) -> Program:  # fmt: skip
    """Lower ``matrix @ operand`` to the sparse engine, as many panels at a time as scheduled."""
    builder = Builder(config, serial=serial)
    for batch in batches(operand.layout.panels, panels):
        exhaust(spmm(builder, matrix, operand, output, batch))
    return builder.program()


def lower_dense(
    left: Tensor, weights: Tensor, output: Output, config: AcceleratorConfig, *, rows: range,
    serial: bool = False,
) -> Program:  # fmt: skip
    """Lower some rows of ``left @ weights`` to the array; see :func:`gcnloom.lower.dense.gemm`."""
    builder = Builder(config, serial=serial)
    for group in groups(output.tensor, config):
        exhaust(finished(gemm_steps(builder, left, weights, output, group, [rows])))
    return builder.program()


def lower_transposed(
    left: Tensor, right: Tensor, output: Output, config: AcceleratorConfig, *,
    serial: bool = False,
) -> Program:  # fmt: skip
    """Lower ``left.T @ right``; see :func:`gcnloom.lower.dense.gemm_transposed`."""
    builder = Builder(config, serial=serial)
    for group in groups(output.tensor, config):
        exhaust(gemm_transposed(builder, left, right, output, group))
    return builder.program()
