# SPDX-License-Identifier: Apache-2.0
"""Hold reset until the clock is steady."""

from amaranth import Cat, ClockDomain, ClockSignal, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["SteadyReset"]


class SteadyReset(wiring.Component):
    """Reset from power-up, and from every loss of lock, until some clocks after it is back.

    Attributes
    ----------
    clocks : int
        Of lock before reset ends.
    locked : In(1)
        Of the PLL; may be asynchronous.
    reset : Out(1)
        From a register.
    """

    clocks = 16

    def __init__(self) -> None:
        super().__init__({"locked": In(1), "reset": Out(1, init=1)})

    def elaborate(self, platform):
        """Build a counter in a domain that has no reset itself."""
        m = Module()
        m.domains.start = ClockDomain(reset_less=True, local=True)
        m.d.comb += ClockSignal("start").eq(ClockSignal("sync"))
        steady, count = Signal(2), Signal(range(self.clocks))
        m.d.start += [
            steady.eq(Cat(self.locked, steady)),
            self.reset.eq(count != self.clocks - 1),
        ]
        with m.If(~steady[1]):
            m.d.start += count.eq(0)
        with m.Elif(count != self.clocks - 1):
            m.d.start += count.eq(count + 1)
        return m
