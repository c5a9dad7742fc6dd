# SPDX-License-Identifier: Apache-2.0
"""Buffered FIFOs between streams."""

from amaranth import Module, Shape, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

__all__ = ["CreditedQueue", "Queue"]


class Queue(wiring.Component):
    """First in, first out, with a registered output.

    Accepts while fewer than `depth` items wait. Latency 2 when empty; one item a cycle from depth
    3 on, every other cycle below.

    Parameters
    ----------
    shape : ShapeLike
        Payload of both streams.
    depth : int

    Attributes
    ----------
    i : In(stream.Signature(shape))
    o : Out(stream.Signature(shape))
    """

    i: stream.Interface
    o: stream.Interface

    def __init__(self, shape, *, depth: int) -> None:
        self._shape = shape
        self._depth = depth
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape))})

    def elaborate(self, platform):
        m = Module()
        width = Shape.cast(self._shape).width
        m.submodules.fifo = fifo = SyncFIFOBuffered(width=width, depth=self._depth)
        m.d.comb += [
            fifo.w_en.eq(self.i.valid),
            fifo.w_data.eq(self.i.payload),
            self.i.ready.eq(fifo.w_rdy),
            self.o.valid.eq(fifo.r_rdy),
            fifo.r_en.eq(self.o.ready),
        ]
        m.d.comb += Value.cast(self.o.payload).eq(fifo.r_data)
        return m


class CreditedQueue(wiring.Component):
    """A queue behind a pipeline that cannot stall: room is reserved when work is issued.

    Whoever issues work that will end in the queue does so only while `available` is high and
    raises `take` for that cycle; the item may arrive at `i` any number of cycles later and is
    always accepted. One item a cycle if `depth` exceeds the pipeline's latency plus 3.

    Parameters
    ----------
    shape : ShapeLike
    depth : int

    Attributes
    ----------
    take : In(1)
    available : Out(1)
    empty : Out(1)
        All that was issued has left.
    i : In(stream.Signature(shape))
        Always ready.
    o : Out(stream.Signature(shape))
    """

    take: Signal
    available: Signal
    empty: Signal
    i: stream.Interface
    o: stream.Interface

    def __init__(self, shape, *, depth: int) -> None:
        self._shape = shape
        self._depth = depth
        super().__init__(
            {
                "take": In(1),
                "available": Out(1),
                "empty": Out(1),
                "i": In(stream.Signature(shape)),
                "o": Out(stream.Signature(shape)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.queue = queue = Queue(self._shape, depth=self._depth)
        m.d.comb += [
            self.i.ready.eq(1),
            queue.i.valid.eq(self.i.valid),
            Value.cast(queue.i.payload).eq(Value.cast(self.i.payload)),
        ]
        wiring.connect(m, inner=queue.o, outer=wiring.flipped(self.o))

        credits = Signal(range(self._depth + 1), init=self._depth)
        released = Signal()
        m.d.comb += [
            released.eq(self.o.valid & self.o.ready),
            self.available.eq(credits != 0),
            self.empty.eq(credits == self._depth),
        ]
        with m.If(self.take & ~released):
            m.d.sync += credits.eq(credits - 1)
        with m.Elif(released & ~self.take):
            m.d.sync += credits.eq(credits + 1)
        return m
