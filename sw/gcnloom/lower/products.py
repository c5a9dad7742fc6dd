# SPDX-License-Identifier: Apache-2.0
"""The three products of GCN training as commands: SpMM, GEMM and transposed GEMM."""

from collections.abc import Iterator
from dataclasses import replace

from gcnloom.lower.builder import Builder, Output, Tensor, aligned
from gcnloom.lower.matrix import StoredMatrix
from gcnloom.lower.parts import drains, parts
from gcnloom_spec.commands import Aggregate, Drain, Transform
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import Mode, Source, Target

__all__ = ["column_limit", "gemm", "gemm_transposed", "padded_inner", "row_limit", "spmm"]


def column_limit(columns: int, config: AcceleratorConfig) -> int:
    """Operand rows of a tile: all if they fit, else half the memory, for double buffering."""
    if columns <= config.operand_depth:
        return columns
    return aligned(config.operand_depth // 2, config)


def row_limit(config: AcceleratorConfig) -> int:
    """Output rows that can be accumulated at once."""
    return aligned(min(config.pes * config.accumulator_depth, config.order_depth), config)


def padded_inner(inner: int, config: AcceleratorConfig) -> int:
    """Rows of a right operand, filled up so that the array's last rows meet zeros."""
    return -(-inner // config.rows) * config.rows


def spmm(
    builder: Builder, matrix: StoredMatrix, operand: Tensor, output: Output, panel: int
) -> None:
    """Lower one panel of ``matrix @ operand`` to the sparse engine."""
    config = builder.config
    segment = config.edge_depth // 2
    segment -= segment % config.edge_beat.items_per_word
    for number, block in enumerate(matrix.schedule.blocks):
        for index, tile in enumerate(block.tiles):
            columns = tile.columns
            base = builder.rows(Target.OPERAND, operand, panel, columns)
            for start in range(0, len(tile.beats), segment):
                span = range(start, min(start + segment, len(tile.beats)))
                edge_base = builder.items(
                    Target.EDGES, f"{matrix.name}.{number}.{index}", span,
                    matrix.tiles[number][index] + config.edge_beat.words(start),
                )  # fmt: skip
                builder.add(
                    Aggregate(edge_base=edge_base, count=len(span), operand_base=base),
                    extent=len(columns),
                )
        order_base = builder.items(
            Target.ORDER, f"{matrix.name}.{number}", range(len(block.order)),
            matrix.orders[number],
        )  # fmt: skip
        if number == 0:
            # Not before: loading operand rows may take the very place.
            output = builder.reserve(output, range(panel, panel + 1))
        whole = builder.emission(Source.AGGREGATE, output, panel, block.rows)
        for entries, emission in drains(output, whole, block.order, config):
            base = order_base + entries.start
            builder.add(Drain(order_base=base, count=len(entries), emission=emission))


def gemm(builder: Builder, left: Tensor, weights: Tensor, output: Output, group: int) -> None:
    """Lower one group of panels of ``left @ weights``, weight-stationary.

    `group` counts panel groups as wide as the array. The weights have
    :func:`padded_inner` rows.
    """
    config = builder.config
    output = builder.reserve(output, _panels(output, group, config))
    limits = [config.sum_depth, config.left_depth]
    if builder.rings[Target.LEFT].find(left.name, range(left.rows)) is None:
        limits.append(config.left_depth // 2)
    if output.mask is not None:
        limits.append(config.mask_depth // 2)
    for rows in _tiles(left.rows, aligned(min(limits), config)):
        steps = list(_steps(left.features, config))
        for step, (left_group, piece) in enumerate(steps):
            left_base = builder.rows(Target.LEFT, left, left_group, rows)
            right_base = _weights(builder, weights, group, step)
            last = step == len(steps) - 1
            _multiply(builder, output, group, rows, Transform(
                mode=Mode.WEIGHT_STATIONARY, slice=piece, left_base=left_base,
                right_base=right_base, count=len(rows), first=int(step == 0), last=int(last),
            ))  # fmt: skip


def gemm_transposed(
    builder: Builder, left: Tensor, right: Tensor, output: Output, group: int
) -> None:
    """Lower one group of panels of ``left.T @ right``, output-stationary.

    The output has :func:`padded_inner` rows in blocks of ``config.rows``.
    """
    config = builder.config
    tile = aligned(min(config.left_depth, config.right_depth) // 2, config)
    for step, (left_group, piece) in enumerate(_steps(left.features, config)):
        block = range(step * config.rows, (step + 1) * config.rows)
        tiles = list(_tiles(left.rows, tile))
        for number, rows in enumerate(tiles):
            left_base = builder.rows(Target.LEFT, left, left_group, rows)
            right_base = builder.rows(Target.RIGHT, right, group, rows)
            last = number == len(tiles) - 1
            _multiply(builder, output, group, block, Transform(
                mode=Mode.OUTPUT_STATIONARY, slice=piece, left_base=left_base,
                right_base=right_base, count=len(rows), first=int(number == 0), last=int(last),
            ))  # fmt: skip


def _multiply(
    builder: Builder, output: Output, group: int, rows: range, command: Transform
) -> None:
    """Add a step of a product; the last one emits `rows`, and a pass each the further panels."""
    if not command.last:
        builder.add(command)
        return
    for bank, panel in enumerate(_panels(output, group, builder.config)):
        whole = builder.emission(Source.TRANSFORM, output, panel, rows)
        if bank:
            command = Transform(mode=Mode.PASS, count=len(rows), first=0, bank=bank)
        for vectors, emission in parts(output, whole):
            builder.add(replace(_of_rows(command, vectors, len(rows)), emission=emission))


def _of_rows(command: Transform, part: range, rows: int) -> Transform:
    """Restrict a command to a part of the rows that it emits."""
    if len(part) == rows:
        return command
    base = command.left_base + (0 if command.mode == Mode.PASS else part.start)
    return replace(command, left_base=base, sum_base=part.start, count=len(part))


def _panels(output: Output, group: int, config: AcceleratorConfig) -> range:
    """Panels of a group as wide as the array."""
    start = group * config.right_banks
    return range(start, min(start + config.right_banks, -(-output.tensor.features // config.lanes)))


def _tiles(rows: int, limit: int) -> Iterator[range]:
    for start in range(0, rows, limit):
        yield range(start, min(start + limit, rows))


def _steps(features: int, config: AcceleratorConfig) -> Iterator[tuple[int, int]]:
    """Panel group of the left operand and slice of it, for every array height of features."""
    for step in range(-(-features // config.rows)):
        yield divmod(step, config.left_slices)


def _weights(builder: Builder, weights: Tensor, group: int, step: int) -> int:
    """Have the weight rows of a step on chip, with those of its neighbours that fit beside."""
    config = builder.config
    unit = config.rows
    while unit % config.vector.items_per_word:
        unit += config.rows
    chunk = max(unit, config.right_depth // 2 // unit * unit)
    start = step * config.rows // chunk * chunk
    rows = range(start, min(start + chunk, weights.rows))
    base = builder.rows(Target.RIGHT, weights, group, rows)
    return base + step * config.rows - start
