# SPDX-License-Identifier: Apache-2.0
"""GEMM and transposed GEMM as commands for the systolic array."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from gcnloom.lower.builder import Builder, Output, Tensor, aligned
from gcnloom.lower.interleave import Step as Emitted
from gcnloom.lower.interleave import finished
from gcnloom.lower.parts import parts
from gcnloom_spec.commands import Transform
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import Mode, Source, Target

__all__ = [
    "StreamedGemm",
    "gemm",
    "gemm_steps",
    "gemm_transposed",
    "group_panels",
    "groups",
    "padded_inner",
    "steps_of",
    "tile_rows",
    "tiles",
]

Step = tuple[int, int]
"""Panel group of the left operand and slice of it: as many features as the array is high."""


def padded_inner(inner: int, config: AcceleratorConfig) -> int:
    """Rows of a right operand, filled up so that the array's last rows meet zeros."""
    return -(-inner // config.rows) * config.rows


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
    spans: Iterable[Emitted], tile: int = 0,
) -> Iterator[Emitted]:  # fmt: skip
    """Lower such a product for some `spans` of rows, a step of the array at a time.

    A span of None means that the left operand's next rows are not on their way yet: try again.
    """
    config = builder.config
    steps = list(_steps(left.features, config))
    most = tile_rows(builder, left, output, tile)
    for span in spans:
        if span is None:
            yield None
            continue
        for rows in tiles(span, most):
            sum_base = builder.sums.place(output.tensor.name, rows)
            for step in steps:
                _weight_stationary(
                    builder, left, weights, output, group, rows, step,
                    first=step == steps[0], last=step == steps[-1], sum_base=sum_base,
                )  # fmt: skip
                yield rows if step == steps[-1] else None


def tile_rows(builder: Builder, left: Tensor, output: Output, tile: int) -> int:
    """Rows that the array takes at a time: `tile` (0: all) or as many as fit."""
    config = builder.config
    limits = [config.sum_depth, config.left_depth // 2, tile or left.rows]
    if output.mask is not None:
        limits.append(config.mask_depth // 2)
    most = min(limits)
    return most if most >= left.rows else aligned(most, config)


def steps_of(features: int, config: AcceleratorConfig) -> int:
    """Count the steps in which the array takes so many features."""
    return -(-features // config.rows)


class StreamedGemm:
    """``left @ weights`` whose left operand comes panel by panel, a few rows at a time.

    The sums of all rows and groups stay in the array's sum memory until the last panel; where
    all panels come at once, those of a part until it has left.

    Parameters
    ----------
    builder : Builder
    left, weights : Tensor
    output : Output
        Its `grid` is not less than what comes at a time.
    """

    def __init__(self, builder: Builder, left: Tensor, weights: Tensor, output: Output) -> None:
        self._builder, self._left, self._weights = builder, left, weights
        self._output = output
        self._groups = groups(output.tensor, builder.config)
        self._steps = list(_steps(left.features, builder.config))
        self._tail: tuple[list[Step], Iterable[range]] = ([], ())
        self._key, self._kept = f"{output.tensor.name} kept", range(left.rows * len(self._groups))

    @staticmethod
    def fits(
        left: Tensor, panels: int, features: int, config: AcceleratorConfig, beside: int
    ) -> bool:
        """Whether the sums of so many output features fit on chip, and `beside` rows of others.

        None have to stay there if the left operand comes with all its `panels` at once.
        """
        at_once = left.features <= panels * config.lanes
        return at_once or left.rows * -(-features // config.columns) + beside <= config.sum_depth

    def feed(self, panels: range, upstream: Iterable[range]) -> Iterator[range]:
        """Multiply some panels, the rows of which `upstream` makes, by their weights.

        Emits commands as it is iterated over; the last panels wait for :meth:`outputs`.
        """
        banks = self._builder.banks(Target.LEFT)
        complete = [
            group
            for group in range(panels.start // banks, (panels.stop - 1) // banks + 1)
            if min((group + 1) * banks, self._panels()) <= panels.stop
        ]
        steps = [step for step in self._steps if step[0] in complete]
        if panels.stop == self._panels():
            self._tail = steps, upstream
            return
        for rows in upstream:
            for group in self._groups:
                self._multiply(group, rows, steps)
            yield rows

    def outputs(self) -> Iterator[tuple[range, Iterator[range]]]:
        """Panels of each group, with what emits their last commands and yields their rows."""
        steps, upstream = self._tail
        seen: list[range] = []
        for group in self._groups:
            source = upstream if group == 0 else seen
            panels = group_panels(self._output.tensor, group, self._builder.config)
            yield panels, self._finish(group, steps, source, seen)
        self._builder.sums.release(self._key, self._kept)

    def _finish(
        self, group: int, steps: list[Step], upstream: Iterable[range], seen: list[range]
    ) -> Iterator[range]:
        for rows in upstream:
            if group == 0:
                seen.append(rows)
            self._multiply(group, rows, steps)
            yield rows

    def _panels(self) -> int:
        return -(-self._left.features // self._builder.config.lanes)

    def _multiply(self, group: int, rows: range, steps: list[Step]) -> None:
        sum_base = self._sum_base(group, rows, whole=steps == self._steps)
        for step in steps:
            _weight_stationary(
                self._builder, self._left, self._weights, self._output, group, rows, step,
                first=step == self._steps[0], last=step == self._steps[-1], sum_base=sum_base,
            )  # fmt: skip

    def _sum_base(self, group: int, rows: range, *, whole: bool) -> int:
        """Where the sums of some rows are, which stay unless all steps are taken at once."""
        sums = self._builder.sums
        if whole:
            return sums.place(self._output.tensor.name, rows)
        base = sums.find(self._key, self._kept)
        if base is None:
            base = sums.place(self._key, self._kept, pinned=True)
        return base + group * self._left.rows + rows.start


def gemm_transposed(
    builder: Builder, left: Tensor, right: Tensor, output: Output, group: int
) -> Iterator[range]:
    """Lower one group of panels of ``left.T @ right``, output-stationary.

    Emits commands as it is iterated over; yields the rows that were multiplied. The output has
    :func:`padded_inner` rows in blocks of ``config.rows``.
    """
    config = builder.config
    tile = aligned(min(config.left_depth, config.right_depth) // 2, config)
    for number, (left_group, piece) in enumerate(_steps(left.features, config)):
        block = range(number * config.rows, (number + 1) * config.rows)
        for rows in tiles(range(left.rows), tile):
            left_base = builder.rows(Target.LEFT, left, left_group, rows)
            right_base = builder.rows(Target.RIGHT, right, group, rows)
            command = Transform(
                mode=Mode.OUTPUT_STATIONARY, slice=piece, left_base=left_base,
                right_base=right_base, count=len(rows), first=int(rows.start == 0),
                last=int(rows.stop == left.rows),
            )  # fmt: skip
            _emit(builder, output, group, block, command)
            yield rows


def _weight_stationary(
    builder: Builder, left: Tensor, weights: Tensor, output: Output, group: int, rows: range,
    step: Step, *, first: bool, last: bool, sum_base: int,
) -> None:  # fmt: skip
    """Add one step of a product; with the last the sums leave."""
    left_group, piece = step
    left_base = builder.rows(Target.LEFT, left, left_group, rows)
    command = Transform(
        mode=Mode.WEIGHT_STATIONARY, slice=piece, left_base=left_base,
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


def _steps(features: int, config: AcceleratorConfig) -> Iterator[Step]:
    for step in range(steps_of(features, config)):
        yield divmod(step, config.left_slices)


def _weights(builder: Builder, weights: Tensor, group: int, step: Step) -> int:
    """Have the weight rows of a step on chip, with those of its neighbours that fit beside."""
    config = builder.config
    start = (step[0] * config.left_slices + step[1]) * config.rows
    unit = config.rows
    while unit % config.vector.items_per_word:
        unit += config.rows
    chunk = max(unit, config.right_depth // 2 // unit * unit)
    begin = start // chunk * chunk
    rows = range(begin, min(begin + chunk, weights.rows))
    return builder.rows(Target.RIGHT, weights, group, rows) + start - begin
