# SPDX-License-Identifier: Apache-2.0
"""A register between streams whose ends are far apart."""

from amaranth import Module, Shape, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["HalfBuffer"]


class HalfBuffer(wiring.Component):
    """Hold one item, and take another when it has left: no path leads through in either direction.

    Latency 1; an item every other cycle.

    Parameters
    ----------
    shape : ShapeLike
        Payload of both streams.

    Attributes
    ----------
    i, o : stream.Signature(shape)
    """

    i: stream.Interface
    o: stream.Interface

    def __init__(self, shape) -> None:
        self._shape = shape
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape))})

    def elaborate(self, platform):
        m = Module()
        held = Signal(Shape.cast(self._shape).width, reset_less=True)
        # Payloads have a flip-flop of their own, and do not draw the other over the die.
        full, wide = Signal(), Signal(attrs={"keep": 1})
        m.d.comb += [
            self.i.ready.eq(~full),
            self.o.valid.eq(full),
            Value.cast(self.o.payload).eq(held),
        ]
        m.d.sync += [
            each.eq((full & ~self.o.ready) | (~full & self.i.valid)) for each in (full, wide)
        ]
        with m.If(~wide):
            m.d.sync += held.eq(Value.cast(self.i.payload))
        return m
