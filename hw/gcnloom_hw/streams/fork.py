# SPDX-License-Identifier: Apache-2.0
"""One stream to several, each of which takes every item in its own time."""

from amaranth import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["Fork"]


class Fork(wiring.Component):
    """Offer each item to the outputs chosen for it; go on when all of them have taken it.

    Parameters
    ----------
    shape : ShapeLike
    outputs : int

    Attributes
    ----------
    i : In(stream.Signature(shape))
    choose : In(outputs)
        Which outputs the item at `i` goes to; steady while it waits. None: it is dropped.
    o0, o1, ... : Out(stream.Signature(shape))
    """

    i: stream.Interface
    choose: Signal

    def __init__(self, shape, *, outputs: int) -> None:
        self._outputs = outputs
        super().__init__(
            {
                "i": In(stream.Signature(shape)),
                "choose": In(outputs),
                **{f"o{index}": Out(stream.Signature(shape)) for index in range(outputs)},
            }
        )

    def elaborate(self, platform):
        m = Module()
        taken = Signal(self._outputs)
        taking = Signal(self._outputs)
        for index in range(self._outputs):
            output = getattr(self, f"o{index}")
            m.d.comb += [
                output.payload.eq(self.i.payload),
                output.valid.eq(self.i.valid & self.choose[index] & ~taken[index]),
                taking[index].eq(output.valid & output.ready),
            ]
        m.d.comb += self.i.ready.eq((taken | taking | ~self.choose).all())
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += taken.eq(0)
        with m.Else():
            m.d.sync += taken.eq(taken | taking)
        return m
