# SPDX-License-Identifier: Apache-2.0
"""A unit's command queue and the gate that waits for tokens."""

from amaranth import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.streams.queue import Queue
from gcnloom_spec.isa import Unit

__all__ = ["Gate"]


class Gate(wiring.Component):
    """Queue commands; let the oldest pass when every token it waits for is there.

    Parameters
    ----------
    shape : data.StructLayout
        A command of the unit; has a field `waits`.
    depth : int

    Attributes
    ----------
    i, o : stream of commands
    available : In(len(Unit))
        Tokens that wait, by giving unit.
    take : Out(len(Unit))
        Tokens taken in this cycle.
    waiting : Out(len(Unit))
        One-hot: the unit whose token the oldest command lacks (the lowest of them).
    idle : Out(1)
    """

    i: stream.Interface
    o: stream.Interface

    def __init__(self, shape, *, depth: int) -> None:
        self._shape = shape
        self._depth = depth
        units = len(Unit)
        super().__init__(
            {
                "i": In(stream.Signature(shape)),
                "o": Out(stream.Signature(shape)),
                "available": In(units),
                "take": Out(units),
                "waiting": Out(units),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.queue = queue = Queue(self._shape, depth=self._depth)
        # What may go on waits here for its engine, so that tokens do not depend on engines.
        m.submodules.allowed = allowed = Queue(self._shape, depth=2)
        wiring.connect(m, outer=wiring.flipped(self.i), inner=queue.i)
        wiring.connect(m, inner=allowed.o, outer=wiring.flipped(self.o))
        # What the oldest command waits for is read first, so that nothing but flip-flops decides.
        waits, read = Signal(len(Unit)), Signal()
        missing = Signal(len(Unit))
        m.d.comb += [
            missing.eq(waits & ~self.available),
            allowed.i.payload.eq(queue.o.payload),
            allowed.i.valid.eq(read & (missing == 0)),
            queue.o.ready.eq(allowed.i.valid & allowed.i.ready),
            self.idle.eq(~queue.o.valid & ~allowed.o.valid),
        ]
        with m.If(queue.o.ready):
            m.d.comb += self.take.eq(waits)
            m.d.sync += read.eq(0)
        with m.Elif(~read):
            m.d.sync += [waits.eq(queue.o.p.waits), read.eq(queue.o.valid)]
        with m.If(read):
            m.d.comb += self.waiting.eq(missing & -missing)
        return m
