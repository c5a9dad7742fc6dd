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
    available : In(4)
        Tokens that wait, by giving unit.
    take : Out(4)
        Tokens taken in this cycle.
    waiting : Out(4)
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
        wiring.connect(m, outer=wiring.flipped(self.i), inner=queue.i)
        missing = Signal(len(Unit))
        m.d.comb += [
            missing.eq(queue.o.p.waits & ~self.available),
            self.o.payload.eq(queue.o.payload),
            self.o.valid.eq(queue.o.valid & (missing == 0)),
            queue.o.ready.eq(self.o.ready & (missing == 0)),
            self.idle.eq(~queue.o.valid),
        ]
        with m.If(self.o.valid & self.o.ready):
            m.d.comb += self.take.eq(queue.o.p.waits)
        with m.If(queue.o.valid):
            m.d.comb += self.waiting.eq(missing & -missing)
        return m
