# SPDX-License-Identifier: Apache-2.0
"""Rows that wait for what can be told of them only when all of their vectors have come."""

from amaranth import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.arithmetic.delay import delay_line
from gcnloom_hw.memory.scratchpad import Scratchpad
from gcnloom_hw.update.walk import PANEL_BITS

__all__ = ["ROW_VECTORS", "RowBuffer"]

ROW_VECTORS = 64
"""Vectors that wait: a row of 32 and the next, so that one comes while the other leaves."""


class RowBuffer(wiring.Component):
    """Give vectors in the order they came, each with the figure that its row got meanwhile.

    Whoever sends a vector reserves its place, with `take` while `available`, any time before. A
    vector may be issued while `ready` is high; with its row's figure it is there :attr:`latency`
    cycles later. One vector a cycle.

    Parameters
    ----------
    vector, figure : ShapeLike

    Attributes
    ----------
    panels : In(6)
        Vectors of a row, at most 32; constant while any are inside.
    take : In(1)
    available : Out(1)
    vectors : In(stream.Signature(vector, always_ready=True))
    figures : In(stream.Signature(figure, always_ready=True))
        One for each row, in order, no sooner than its last vector.
    ready : Out(1)
    issue : In(1)
    first, last : Out(1)
        The vector to be issued is the first, the last of its row.
    vector, figure : Out
    """

    latency = 2

    vectors: stream.Interface
    figures: stream.Interface

    def __init__(self, *, vector, figure) -> None:
        super().__init__(
            {
                "panels": In(PANEL_BITS),
                "take": In(1),
                "available": Out(1),
                "vectors": In(stream.Signature(vector, always_ready=True)),
                "figures": In(stream.Signature(figure, always_ready=True)),
                "ready": Out(1),
                "issue": In(1),
                "first": Out(1),
                "last": Out(1),
                "vector": Out(vector),
                "figure": Out(figure),
            }
        )

    def elaborate(self, platform):
        m = Module()
        panel = Signal(PANEL_BITS)
        m.d.comb += [
            self.first.eq(panel == 0),
            self.last.eq(panel == (self.panels - 1)[:PANEL_BITS]),
        ]
        with m.If(self.issue):
            m.d.sync += panel.eq(panel + 1)
            with m.If(self.last):
                m.d.sync += panel.eq(0)

        # Vectors can only be as many as places, and no row is without one.
        row_left = Signal()
        m.d.comb += row_left.eq(self.issue & self.last)
        self._store(m, "vector", self.vectors, self.issue, self.vector)
        self._store(m, "figure", self.figures, row_left, self.figure)
        places = Signal(range(ROW_VECTORS + 1), init=ROW_VECTORS)
        known = Signal(range(ROW_VECTORS + 1))
        available = Signal(init=1)
        m.d.comb += self.available.eq(available)
        with m.If(self.take & ~self.issue):
            m.d.sync += [places.eq(places - 1), available.eq(places != 1)]
        with m.Elif(self.issue & ~self.take):
            m.d.sync += [places.eq(places + 1), available.eq(1)]
        with m.If(self.figures.valid & ~row_left):
            m.d.sync += [known.eq(known + 1), self.ready.eq(1)]
        with m.Elif(row_left & ~self.figures.valid):
            m.d.sync += [known.eq(known - 1), self.ready.eq(known != 1)]
        return m

    @staticmethod
    def _store(m, name, writes, passed, output):
        """Add a memory whose reading moves on when its word has been used."""
        m.submodules[name] = memory = Scratchpad(
            width=len(writes.payload.as_value()), depth=ROW_VECTORS
        )
        write, read = (Signal(range(ROW_VECTORS), name=f"{name}_{way}") for way in ("in", "out"))
        m.d.comb += [
            memory.write_enable.eq(writes.valid),
            memory.write_address.eq(write),
            memory.write_data.eq(writes.payload.as_value()),
            memory.read_address.eq(read),
        ]
        with m.If(writes.valid):
            m.d.sync += write.eq(write + 1)
        with m.If(passed):
            m.d.sync += read.eq(read + 1)
        # A register behind the memory, whose word comes late in its cycle.
        held = delay_line(m, memory.read_data, RowBuffer.latency - memory.latency, name=name)
        m.d.comb += output.as_value().eq(held[-1])
