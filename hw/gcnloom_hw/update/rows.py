# SPDX-License-Identifier: Apache-2.0
"""Rows that wait for what can be told of them only when all of their vectors have come."""

from amaranth import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.arithmetic.delay import delay_line
from gcnloom_hw.memory.scratchpad import Scratchpad
from gcnloom_spec.packing import power_of_two

__all__ = ["ROW_VECTORS", "RowBuffer"]

MOST_PANELS = 32
ROW_VECTORS = 2 * MOST_PANELS
"""Vectors that wait: a row of 32 and the next, so that one comes while the other leaves."""


class RowBuffer(wiring.Component):
    """Give vectors in the order they came, each with the figure that its row got meanwhile.

    Whoever sends vectors reserves their places, with `take` while `available`, any time before. A
    vector may be issued while `ready` is high; with its row's figure it is there :attr:`latency`
    cycles later. One vector a cycle.

    Parameters
    ----------
    vector, figure : ShapeLike
    slices : int
        So many vectors each are the slices of one, and :data:`ROW_VECTORS` of these wait.
    reserved : int
        Places that are reserved at a time.

    Attributes
    ----------
    count : In(range(32 * slices + 1))
        Vectors of a row; constant while any are inside.
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

    def __init__(self, *, vector, figure, slices: int = 1, reserved: int = 1) -> None:
        self._places = slices * ROW_VECTORS
        self._reserved = reserved
        super().__init__(
            {
                "count": In(range(slices * MOST_PANELS + 1)),
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
        number = Signal(range(self._places // 2))
        m.d.comb += [
            self.first.eq(number == 0),
            self.last.eq(number == (self.count - 1)[: len(number)]),
        ]
        with m.If(self.issue):
            m.d.sync += number.eq(number + 1)
            with m.If(self.last):
                m.d.sync += number.eq(0)

        # Vectors can only be as many as places, and no row is without one.
        row_left = Signal()
        m.d.comb += row_left.eq(self.issue & self.last)
        depth = power_of_two(self._places)
        self._store(m, "vector", self.vectors, self.issue, self.vector, depth)
        self._store(m, "figure", self.figures, row_left, self.figure, ROW_VECTORS)
        places, following = (
            Signal(range(self._places + 1), name=name, init=self._places)
            for name in ("places", "following")
        )
        known = Signal(range(ROW_VECTORS + 1))
        available = Signal(init=1)
        m.d.comb += [
            self.available.eq(available),
            following.eq(places + self.issue - Mux(self.take, self._reserved, 0)),
        ]
        m.d.sync += [places.eq(following), available.eq(following >= self._reserved)]
        with m.If(self.figures.valid & ~row_left):
            m.d.sync += [known.eq(known + 1), self.ready.eq(1)]
        with m.Elif(row_left & ~self.figures.valid):
            m.d.sync += [known.eq(known - 1), self.ready.eq(known != 1)]
        return m

    @staticmethod
    def _store(m, name, writes, passed, output, depth):
        """Add a memory whose reading moves on when its word has been used."""
        m.submodules[name] = memory = Scratchpad(width=len(writes.payload.as_value()), depth=depth)
        write, read = (Signal(range(depth), name=f"{name}_{way}") for way in ("in", "out"))
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
