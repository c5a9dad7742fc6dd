# SPDX-License-Identifier: Apache-2.0
"""Dependence tokens between the units."""

from amaranth import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gcnloom_spec.isa import Unit

__all__ = ["SETTLE", "Tokens"]

UNITS = len(Unit)
SETTLE = 6
"""Cycles from a signal to its token: covers every write pipeline of the on-chip memories."""


class Tokens(wiring.Component):
    """A counter of up to 255 tokens for every giving and taking unit, which may be the same.

    Attributes
    ----------
    signals0, signals1, ... : In(len(Unit))
        Pulses of unit i: bit j leaves a token for unit j, available :data:`SETTLE` cycles later.
    take0, take1, ... : In(len(Unit))
        Unit j takes the tokens of the units set here; they must be available.
    available0, available1, ... : Out(len(Unit))
        For unit j: bit i is set while a token of unit i waits.
    clear : In(1)
    """

    clear: Signal

    def __init__(self, settle: int = SETTLE) -> None:
        self._settle = settle
        super().__init__(
            {
                "clear": In(1),
                **{f"signals{unit}": In(UNITS) for unit in range(UNITS)},
                **{f"take{unit}": In(UNITS) for unit in range(UNITS)},
                **{f"available{unit}": Out(UNITS) for unit in range(UNITS)},
            }
        )

    def elaborate(self, platform):
        m = Module()
        clear = Signal()
        m.d.sync += clear.eq(self.clear)
        now = Signal(UNITS * UNITS)
        m.d.comb += now.eq(Cat(getattr(self, f"signals{unit}") for unit in range(UNITS)))
        for stage in range(self._settle - 1):
            later = Signal(UNITS * UNITS, name=f"settling{stage}")
            m.d.sync += later.eq(now)
            now = later
        for giver in range(UNITS):
            for taker in range(UNITS):
                count = Signal(8, name=f"count_{giver}_{taker}")
                waits = Signal(name=f"waits_{giver}_{taker}")
                more = now[UNITS * giver + taker]
                less = getattr(self, f"take{taker}")[giver]
                m.d.comb += getattr(self, f"available{taker}")[giver].eq(waits)
                with m.If(clear):
                    m.d.sync += [count.eq(0), waits.eq(0)]
                with m.Elif(more ^ less):
                    # One adder for both directions: minus one is a word of ones.
                    step = Cat(1, less.replicate(len(count) - 1))
                    m.d.sync += [count.eq(count + step), waits.eq(more | (count != 1))]
        return m
