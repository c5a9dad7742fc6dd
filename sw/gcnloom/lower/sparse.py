# SPDX-License-Identifier: Apache-2.0
"""SpMM as commands: column by column while its operand comes, or row block by row block."""

from collections import deque
from collections.abc import Collection, Iterable, Iterator

import numpy as np

from gcnloom.lower.buffers import NoRoomError
from gcnloom.lower.builder import Builder, Output, Tensor
from gcnloom.lower.interleave import Step
from gcnloom.lower.matrix import StoredMatrix
from gcnloom.lower.parts import parts
from gcnloom.lower.turns import exhaust
from gcnloom.programs.access import Reach
from gcnloom_spec.commands import Aggregate, Drain
from gcnloom_spec.isa import Source, Target
from gcnloom_spec.items import order_word

__all__ = ["spmm"]

BEHIND = 1
"""Parts of the operand that are made before the first is used: its way on chip takes time."""
AHEAD = 1
"""Row blocks that are summed before the results of the one before them leave."""
SEGMENTS = 8
"""Loads of edges that their memory holds: few enough commands, and the first soon there."""
SHORTEST = 128
"""Beats that are worth a command of their own, if the memory holds two such loads."""


def spmm(
    builder: Builder,
    matrix: StoredMatrix,
    operand: Tensor,
    output: Output,
    panels: range,
    upstream: Iterable[range] = (),
) -> Iterator[Step]:
    """Lower some panels of ``matrix @ operand`` to the sparse engine, edges loaded once for all.

    Emits a few commands a step, a tile or what a part of the operand allows, as it is iterated
    over; yields the rows whose results are on their way.

    Parameters
    ----------
    builder : Builder
    matrix : StoredMatrix
        If it is `streamed`, the sums of all rows are on chip, and columns come one tile after
        the other as `upstream` makes their operands; what is left then, or else all of it,
        comes in row blocks in turn, the results of each leaving beside the next.
    operand : Tensor
        Without a place in device memory it must be on chip, and is let go as it is used.
    output : Output
    panels : range
    upstream : iterable of range
        Emits the commands that make the operand; yields its rows in order.
    """
    return _Product(builder, matrix, operand, output, panels).steps(upstream)


class _Product:
    def __init__(
        self,
        builder: Builder,
        matrix: StoredMatrix,
        operand: Tensor,
        output: Output,
        panels: range,
    ) -> None:
        self.builder, self.matrix = builder, matrix
        self.operand, self.output, self.panels = operand, output, panels
        self.blocks = matrix.schedule.blocks
        self._slots: dict[tuple[int, int], int] = {}

    def steps(self, upstream: Iterable[range]) -> Iterator[Step]:
        # A row block has no tile for columns in which it is empty.
        spans = {tile.columns.start: tile.columns for block in self.blocks for tile in block.tiles}
        coming = [spans[start] for start in sorted(spans)]
        made: list[int] = []
        done = 0
        for rows in upstream:
            made.append(rows.stop)
            ready = made[-1 - BEHIND] if self.matrix.streamed and len(made) > BEHIND else 0
            while coming and coming[0].stop <= ready:
                done = coming[0].stop
                self._column(coming.pop(0))
            yield None
        # What follows the results of a row block must not keep the next one from its turn.
        summed: deque[int] = deque()
        for number in range(len(self.blocks)):
            while not self._opens(number, summed):
                yield from self._drain(summed.popleft())
            yield from self._rest(number, done)
            summed.append(number)
            if len(summed) > AHEAD:
                yield from self._drain(summed.popleft())
        for number in summed:
            yield from self._drain(number)
        if self.operand.stored is None:
            self._let_go(range(self.operand.rows))

    def _open(self, number: int) -> None:
        """Give a row block its accumulators, for each panel, if it has none yet."""
        for panel in self.panels:
            if (number, panel) not in self._slots:
                span = range(self.blocks[number].slots)
                # Row blocks that come and go stay out of the way of whole matrices.
                base = self.builder.accumulators.place(
                    self._key(number, panel), span, pinned=True, high=not self.matrix.streamed
                )
                self._slots[number, panel] = base

    def _rest(self, number: int, done: int) -> Iterator[None]:
        """Aggregate the tiles of a row block from column `done` on."""
        for index, tile in enumerate(self.blocks[number].tiles):
            if tile.columns.start >= done:
                yield from self._tile(number, index)
        self._order(number)

    def _opens(self, number: int, summed: Collection[int]) -> bool:
        """Open a row block, unless it has to wait for the room of one that is still to leave."""
        try:
            self._open(number)
        except NoRoomError:
            if not summed:
                raise
            return False
        return True

    def _column(self, columns: range) -> None:
        """Aggregate the tiles of every row block in one column block."""
        for number, block in enumerate(self.blocks):
            for index, tile in enumerate(block.tiles):
                if tile.columns == columns:
                    self._open(number)
                    exhaust(self._tile(number, index))
        if self.operand.stored is None:
            self._let_go(columns)

    def _let_go(self, rows: range) -> None:
        for panel in self.panels:
            self.builder.release(Target.OPERAND, self.operand, panel, rows)

    def _tile(self, number: int, index: int) -> Iterator[None]:
        builder, config = self.builder, self.builder.config
        tile, block = self.blocks[number].tiles[index], self.blocks[number]
        segment = max(config.edge_depth // SEGMENTS, min(config.edge_depth // 2, SHORTEST))
        packing = self.matrix.packing(config)
        segment -= segment % packing.items_per_word
        reach = Reach(rows=len(tile.columns), slots=block.slots)
        builder.arenas[Target.OPERAND].together(len(self.panels), len(tile.columns))
        bases = {}
        for panel in self.panels:
            bases[panel] = builder.rows(Target.OPERAND, self.operand, panel, tile.columns)
            # Or the next panel could take its place.
            builder.pin(Target.OPERAND, self.operand, panel, tile.columns)
        for start in range(0, len(tile.beats), segment):
            span = range(start, min(start + segment, len(tile.beats)))
            edge_base = builder.items(
                Target.EDGES, f"{self.matrix.name}.{number}.{index}", span,
                self.matrix.tiles[number][index] + packing.words(start), self.matrix.weight,
            )  # fmt: skip
            edges = tile.beats[span.start : span.stop]
            for panel in self.panels:
                command = Aggregate(
                    edge_base=edge_base, count=len(span), operand_base=bases[panel],
                    slot_base=self._slots[number, panel],
                )  # fmt: skip
                builder.add(command, reach, edges)
            yield
        if self.operand.stored is not None:
            self._let_go(tile.columns)

    def _drain(self, number: int) -> Iterator[range]:
        """Drain a row block, some rows at a time."""
        builder, block = self.builder, self.blocks[number]
        last = order_word(builder.config).unpack(block.order[:, np.newaxis])["last"]
        ends = np.concatenate([[0], np.flatnonzero(last) + 1])
        reach = Reach(slots=block.slots)
        first, part = self.matrix.first + block.rows.start, self.matrix.part
        start, stop = first, first + len(block.rows)
        while start < stop:
            rows = range(start, min(start - start % part + part, stop))
            inside = start - first
            # It is there from the part before, unless another product took its place meanwhile.
            order_base = self._order(number)
            for panel in self.panels:
                output = builder.reserve(self.output, panel, rows)
                whole = builder.emission(Source.AGGREGATE, output, panel, rows)
                for vectors, emission in parts(output, whole):
                    entry, after = ends[inside + vectors.start], ends[inside + vectors.stop]
                    command = Drain(
                        order_base=order_base + int(entry), count=int(after - entry),
                        slot_base=self._slots[number, panel], emission=emission,
                    )  # fmt: skip
                    builder.add(command, reach, block.order[int(entry) : int(after)])
            yield rows
            start = rows.stop
        for panel in self.panels:
            builder.accumulators.release(self._key(number, panel), range(block.slots))

    def _order(self, number: int) -> int:
        """Have the drain order of a row block on chip."""
        entries, address = range(len(self.blocks[number].order)), self.matrix.orders[number]
        return self.builder.items(Target.ORDER, f"{self.matrix.name}.{number}", entries, address)

    def _key(self, number: int, panel: int) -> str:
        """Name the sums of a row block; two products of one matrix may be under way."""
        return f"{self.matrix.name}.{number} to {self.output.tensor.name}.{panel}"
