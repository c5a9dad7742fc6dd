# SPDX-License-Identifier: Apache-2.0
"""Runs of consecutive addresses to bursts."""

from amaranth import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.memory.port import ADDRESS_BITS

__all__ = ["Coalesce", "burst_request"]


def burst_request(longest):
    """Layout of a burst: its first word, and how many follow."""
    return data.StructLayout({"address": ADDRESS_BITS, "more": range(longest)})


class Coalesce(wiring.Component):
    """Gather addresses as long as they follow each other and come without a pause.

    A burst leaves when it is as long as it may be, when the next address does not continue it,
    or when there is no next one, so that nothing waits for what may never come. Takes one
    address a clock; a lone one leaves in the next.

    Parameters
    ----------
    longest : int
        Words of a burst, a power of two, 2 or more. None crosses a multiple of so many.

    Attributes
    ----------
    i : In(stream.Signature(ADDRESS_BITS))
    o : Out(stream.Signature(burst_request(longest)))
        May change as long as it is not taken: put a queue behind it.
    holds : Out(1)
        An address is held, that of the last word of the burst.
    extends : Out(1)
        The held word is not the last of its burst, and leaves the place to the next one.
    """

    i: stream.Interface
    o: stream.Interface

    def __init__(self, *, longest: int) -> None:
        self._longest = longest
        super().__init__(
            {
                "i": In(stream.Signature(ADDRESS_BITS)),
                "o": Out(stream.Signature(burst_request(longest))),
                "holds": Out(1),
                "extends": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        held = Signal.like(self.o.p)
        following = Signal(ADDRESS_BITS)
        continues = Signal()
        m.d.comb += [
            continues.eq(
                self.i.valid & (self.i.payload == following) & (following % self._longest != 0)
            ),
            self.extends.eq(self.holds & continues),
            self.o.valid.eq(self.holds & ~continues),
            self.o.payload.eq(held),
            self.i.ready.eq(~self.holds | continues | self.o.ready),
        ]
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [self.holds.eq(1), following.eq(self.i.payload + 1)]
            with m.If(self.extends):
                m.d.sync += held.more.eq(held.more + 1)
            with m.Else():
                m.d.sync += [held.address.eq(self.i.payload), held.more.eq(0)]
        with m.Elif(self.o.ready & self.o.valid):
            m.d.sync += self.holds.eq(0)
        return m
