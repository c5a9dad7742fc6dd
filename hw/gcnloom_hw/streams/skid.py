# SPDX-License-Identifier: Apache-2.0
"""A stream whose `ready` comes from a flip-flop."""

from amaranth import Module, Mux, Shape, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["Skid"]


class Skid(wiring.Component):
    """Keep the item that came before it was known that there is no room.

    A skid buffer: nothing on the way back from `o` to `i` but a flip-flop. Latency 0; one item a
    cycle.

    Parameters
    ----------
    shape : ShapeLike
        Payload of both streams.

    Attributes
    ----------
    i : In(stream.Signature(shape))
        Ready while nothing is kept.
    o : Out(stream.Signature(shape))
    """

    i: stream.Interface
    o: stream.Interface

    def __init__(self, shape) -> None:
        self._shape = shape
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape))})

    def elaborate(self, platform):
        m = Module()
        kept = Signal(Shape.cast(self._shape).width, reset_less=True)
        ready = Signal(init=1)
        arriving = Value.cast(self.i.payload)
        m.d.comb += [
            self.i.ready.eq(ready),
            self.o.valid.eq(self.i.valid | ~ready),
            Value.cast(self.o.payload).eq(Mux(ready, arriving, kept)),
        ]
        m.d.sync += ready.eq(self.o.ready | ~self.o.valid)
        with m.If(ready):
            m.d.sync += kept.eq(arriving)
        return m
