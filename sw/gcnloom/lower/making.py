# SPDX-License-Identifier: Apache-2.0
"""What both engines do to make a dense product, and what the sparse one does beside that."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from gcnloom.lower.builder import Builder, Output, Tensor
from gcnloom.lower.dense import gemm_steps, group_panels, groups
from gcnloom.lower.interleave import Step, in_order, interleaved
from gcnloom.lower.matrices import Matrices
from gcnloom.lower.matrix import StoredMatrix
from gcnloom.lower.mixture import Shares
from gcnloom.lower.sparse import spmm
from gcnloom.lower.stack import Term

__all__ = ["Handover", "Making", "dense_makings", "shared_makings"]


@dataclass(frozen=True, kw_only=True)
class Making:
    """How a group of panels of a dense product is made.

    Attributes
    ----------
    builder : Builder
    panels : range
    array, sparse : Iterator of Step
        What emits the commands of either engine.
    parts : tuple of range
        Rows in the pieces in which the next product may ask for them.
    """

    builder: Builder
    panels: range
    array: Iterator[Step]
    sparse: Iterator[Step]
    parts: tuple[range, ...]

    def rows(self) -> Iterator[range]:
        """Emit everything; yield the parts in their order."""
        return in_order(interleaved(self.builder, self.array, self.sparse), self.parts)

    def beside(self, leaving: Iterator[Step]) -> None:
        """Emit everything, the sparse engine's part behind what it still has to do."""
        for _ in interleaved(self.builder, self.array, chain(leaving, self.sparse)):
            pass


class Handover:
    """Rows of one layer's results that the next layer's product starts with as they leave.

    Parameters
    ----------
    leaving : Iterator of Step
        What emits them, in order.
    rows : int
    """

    def __init__(self, leaving: Iterator[Step], rows: int) -> None:
        self._leaving, self._rows, self._reached = leaving, rows, 0

    def leaving(self) -> Iterator[Step]:
        """Emit the results."""
        for step in self._leaving:
            if step is not None:
                self._reached = step.stop
            yield step
        # All of them, or the rest, left before anybody asked.
        self._reached = self._rows

    def spans(self) -> Iterator[Step]:
        """Yield rows that are on their way, or None while there are none."""
        start = 0
        while start < self._rows:
            stop = self._reached
            yield range(start, stop) if stop > start else None
            start = stop


def dense_makings(
    builder: Builder, left: Tensor, weights: Tensor, output: Output,
    first: Iterable[Step] | None = None, terms: Sequence[Term] = (),
) -> Iterator[Making]:  # fmt: skip
    """Yield groups of panels of a product, all on the array; the `first` in these spans.

    See :func:`gcnloom.lower.dense.gemm_steps` for `terms`.
    """
    whole: Iterable[Step] = (range(output.tensor.rows),)
    if terms and terms[0].done:
        whole = tuple(term.rows for term in terms)
    for group in groups(output.tensor, builder.config):
        spans = whole if group or first is None else first
        array = gemm_steps(builder, left, weights, output, group, spans, output.grid, terms)
        yield Making(
            builder=builder, panels=group_panels(output.tensor, group, builder.config),
            array=array, sparse=iter(()), parts=_parts(output.tensor.rows, output.grid),
        )  # fmt: skip


def shared_makings(
    builder: Builder, matrices: Matrices, left: Tensor, weights: Tensor, output: Output,
    part: int, first: Shares, later: Shares,
) -> Iterator[Making]:  # fmt: skip
    """Yield groups of panels of dense features times weights, on both engines.

    The first group is dealt otherwise than those behind it, beside which the sparse engine
    multiplies what was made before.
    """
    config = builder.config
    for group in groups(output.tensor, config):
        panels = group_panels(output.tensor, group, config)
        shares = later if group else first
        stored = [
            matrices.features_part(rows, panels=config.right_banks, part=part)
            for rows in shares.sparse
        ]
        yield Making(
            builder=builder, panels=panels,
            array=gemm_steps(builder, left, weights, output, group, shares.array, output.grid),
            sparse=_products(builder, stored, weights, output, panels),
            parts=_parts(left.rows, part),
        )  # fmt: skip


def _products(
    builder: Builder, stored: list[StoredMatrix], weights: Tensor, output: Output, panels: range
) -> Iterator[Step]:
    for matrix in stored:
        yield from spmm(builder, matrix, weights, output, panels)


def _parts(rows: int, part: int) -> tuple[range, ...]:
    step = part or rows
    return tuple(range(start, min(start + step, rows)) for start in range(0, rows, step))
