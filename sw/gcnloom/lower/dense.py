# SPDX-License-Identifier: Apache-2.0
"""GEMM and transposed GEMM as commands for the systolic array."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from gcnloom.lower.builder import Builder, Output, Tensor, aligned
from gcnloom.lower.interleave import Step as Emitted
from gcnloom.lower.interleave import finished
from gcnloom.lower.parts import parts
from gcnloom.lower.stack import Term, cut
from gcnloom_spec.commands import Transform
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import Mode, Source, Target

__all__ = [
    "Step",
    "block_pitch",
    "gemm",
    "gemm_steps",
    "gemm_transposed",
    "group_panels",
    "groups",
    "padded_inner",
    "steps_of",
    "steps_through",
    "tile_rows",
    "tiles",
    "weight_stationary",
]


class Step(NamedTuple):
    """As many features of the left operand as the array is high, and their weights.

    Attributes
    ----------
    group, piece : int
        Panel group of the left operand, and slice of it.
    weights : int
        First row of the weights.
    shift : int
        Rows that the left operand's are behind those of the result.
    """

    group: int
    piece: int
    weights: int
    shift: int = 0


def padded_inner(inner: int, config: AcceleratorConfig) -> int:
    """Rows of a right operand, filled up so that the array's last rows meet zeros."""
    return -(-inner // config.rows) * config.rows


def block_pitch(inner: int, config: AcceleratorConfig) -> int:
    """Rows from one block of a right operand to the next, which begins a memory word, too."""
    unit = _word_unit(config)
    return -(-inner // unit) * unit


def _word_unit(config: AcceleratorConfig) -> int:
    """Fewest rows that are the array's height, or some of them, and fill whole memory words."""
    unit = config.rows
    while unit % config.vector.items_per_word:
        unit += config.rows
    return unit


def groups(tensor: Tensor, config: AcceleratorConfig) -> range:
    """Count groups of panels as wide as the array."""
    return range(-(-tensor.features // config.columns))


def group_panels(tensor: Tensor, group: int, config: AcceleratorConfig) -> range:
    """Panels of a group."""
    start = group * config.right_banks
    return range(start, min(start + config.right_banks, -(-tensor.features // config.lanes)))


def gemm(
    builder: Builder, left: Tensor, weights: Tensor, output: Output, group: int, tile: int = 0
) -> Iterator[range]:
    """Lower one group of panels of ``left @ weights``, weight-stationary.

    Emits commands as it is iterated over, `tile` rows at a time (0: as many as fit); yields the
    rows whose results are on their way. The weights have :func:`padded_inner` rows.
    """
    whole = [range(left.rows)]
    return finished(gemm_steps(builder, left, weights, output, group, whole, tile))


def gemm_steps(
    builder: Builder, left: Tensor, weights: Tensor, output: Output, group: int,
    spans: Iterable[Emitted], tile: int = 0, terms: Sequence[Term] = (),
) -> Iterator[Emitted]:  # fmt: skip
    """Lower such a product for some `spans` of its rows, a step of the array at a time.

    A span of None means that the left operand's next rows are not on their way yet: try again.
    With `terms` the result is the sum of products of parts of both operands.
    """
    config = builder.config
    terms = terms or (Term(rows=range(left.rows)),)
    most = tile_rows(builder, output, tile)
    for span in spans:
        if span is None:
            yield None
            continue
        for rows in cut(span, most, terms, aligned=tile > 0):
            here = [term for term in terms if rows.start in term.rows]
            steps = [step for term in here for step in steps_through(left.features, config, term)]
            sum_base = builder.sums.place(output.tensor.name, rows)
            for step in steps:
                weight_stationary(
                    builder, left, weights, output, group, rows, step,
                    first=step == steps[0], last=step == steps[-1], sum_base=sum_base,
                )  # fmt: skip
                yield _done(rows, here) if step == steps[-1] else None


def _done(rows: range, terms: Sequence[Term]) -> range:
    """Rows that are there with these: with a term's last ones those that nobody uses, too."""
    ends = [term.done for term in terms if term.rows.stop == rows.stop]
    return range(rows.start, max(rows.stop, *ends, 0))


def tile_rows(builder: Builder, output: Output, tile: int) -> int:
    """Rows that the array takes at a time: `tile` (0: all) or as many as fit."""
    config = builder.config
    rows = output.tensor.rows
    limits = [config.sum_depth, config.left_depth // 2, tile or rows]
    if output.mask is not None:
        limits.append(config.mask_depth // 2)
    most = min(limits)
    return most if most >= rows else aligned(most, config)


def steps_of(features: int, config: AcceleratorConfig) -> int:
    """Count the steps in which the array takes so many features."""
    return -(-features // config.rows)


def gemm_transposed(
    builder: Builder, left: Tensor, right: Tensor, output: Output, group: int,
    term: Term | None = None,
) -> Iterator[range]:  # fmt: skip
    """Lower one group of panels of ``left.T @ right``, output-stationary.

    Emits commands as it is iterated over; yields the rows that were multiplied. The output has
    :func:`padded_inner` rows in blocks of ``config.rows``. With a `term`, those from its `weights`
    on are made, of its rows of the left operand and of those of the right that `shift` says.
    """
    config = builder.config
    tile = aligned(min(config.left_depth, config.right_depth) // 2, config)
    term = term or Term(rows=range(left.rows))
    for step in steps_through(left.features, config, replace(term, shift=0)):
        block = range(step.weights, step.weights + config.rows)
        for rows in tiles(term.rows, tile):
            left_base = builder.rows(Target.LEFT, left, step.group, rows)
            right_base = builder.rows(Target.RIGHT, right, group, _moved(rows, term.shift))
            command = Transform(
                mode=Mode.OUTPUT_STATIONARY, slice=step.piece, left_base=left_base,
                right_base=right_base, count=len(rows), first=int(rows.start == 0),
                last=int(rows.stop == term.rows.stop),
            )  # fmt: skip
            _emit(builder, output, group, block, command)
            yield rows


def weight_stationary(
    builder: Builder, left: Tensor, weights: Tensor, output: Output, group: int, rows: range,
    step: Step, *, first: bool, last: bool, sum_base: int,
) -> None:  # fmt: skip
    """Add one step of a product; with the last the sums leave."""
    left_base = builder.rows(Target.LEFT, left, step.group, _moved(rows, step.shift))
    command = Transform(
        mode=Mode.WEIGHT_STATIONARY, slice=step.piece, left_base=left_base,
        right_base=_weights(builder, weights, group, step), count=len(rows),
        first=int(first), last=int(last), sum_base=sum_base,
    )  # fmt: skip
    _emit(builder, output, group, rows, command)


def _emit(builder: Builder, output: Output, group: int, rows: range, command: Transform) -> None:
    """Add a step of a product; the last one emits `rows`, and a pass each the further panels."""
    if not command.last:
        builder.add(command)
        return
    for bank, panel in enumerate(group_panels(output.tensor, group, builder.config)):
        reserved = builder.reserve(output, panel, rows)
        whole = builder.emission(Source.TRANSFORM, reserved, panel, rows)
        if bank:
            command = Transform(
                mode=Mode.PASS, count=len(rows), first=0, bank=bank, sum_base=command.sum_base
            )
        for vectors, emission in parts(reserved, whole):
            builder.add(replace(_of_rows(command, vectors, len(rows)), emission=emission))


def _of_rows(command: Transform, part: range, rows: int) -> Transform:
    """Restrict a command to a part of the rows that it emits."""
    if len(part) == rows:
        return command
    left_base = command.left_base + (0 if command.mode == Mode.PASS else part.start)
    sum_base = command.sum_base + part.start
    return replace(command, left_base=left_base, sum_base=sum_base, count=len(part))


def tiles(rows: range, limit: int) -> Iterator[range]:
    """Cut rows into ranges of at most `limit`."""
    for start in range(rows.start, rows.stop, limit):
        yield range(start, min(start + limit, rows.stop))


def steps_through(features: int, config: AcceleratorConfig, term: Term) -> Iterator[Step]:
    """Yield the steps in which the array takes the features of a term."""
    for number in range(steps_of(features, config)):
        group, piece = divmod(number, config.left_slices)
        yield Step(group, piece, term.weights + number * config.rows, term.shift)


def _moved(rows: range, shift: int) -> range:
    return range(rows.start + shift, rows.stop + shift)


def _weights(builder: Builder, weights: Tensor, group: int, step: Step) -> int:
    """Have the weight rows of a step on chip, with those of its neighbours that fit beside."""
    unit = _word_unit(builder.config)
    chunk = max(unit, builder.config.right_depth // 2 // unit * unit)
    begin = step.weights // chunk * chunk
    rows = range(begin, min(begin + chunk, weights.rows))
    return builder.rows(Target.RIGHT, weights, group, rows) + step.weights - begin
