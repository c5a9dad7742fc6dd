# SPDX-License-Identifier: Apache-2.0
"""The rate of both UARTs: what the host asked for, until nothing is understood any more."""

from amaranth import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gcnloom_spec.link import FALL_BACK, RATE_BITS

__all__ = ["Rate"]


class Rate(wiring.Component):
    """Keep an increment; fall back after :data:`FALL_BACK` failures with nothing good between.

    Parameters
    ----------
    base : int
        Increment at first, and to fall back to.

    Attributes
    ----------
    change : In(1)
        Use `wanted`.
    wanted : In(RATE_BITS)
    good, failed : In(1)
    increment : Out(RATE_BITS)
    """

    def __init__(self, *, base: int) -> None:
        self._base = base
        super().__init__(
            {
                "change": In(1),
                "wanted": In(RATE_BITS),
                "good": In(1),
                "failed": In(1),
                "increment": Out(RATE_BITS, init=base),
            }
        )

    def elaborate(self, platform):
        m = Module()
        failures = Signal(range(FALL_BACK))
        with m.If(self.good):
            m.d.sync += failures.eq(0)
        with m.Elif(self.failed):
            m.d.sync += failures.eq(failures + 1)
        with m.If(self.failed & failures.all()):
            m.d.sync += self.increment.eq(self._base)
        with m.Elif(self.change):
            m.d.sync += self.increment.eq(self.wanted)
        return m
