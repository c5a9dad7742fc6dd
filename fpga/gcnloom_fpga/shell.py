# SPDX-License-Identifier: Apache-2.0
"""A top with four pins around a component with hundreds, so that it can be placed and timed."""

from collections.abc import Iterator, Sequence

from amaranth import Cat, ClockDomain, ClockSignal, Module, ResetSignal, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["Shell"]

FOLD = 4
"""Bits folded by one look-up table between two registers."""


class Shell(wiring.Component):
    """Drive every input from a shift register and fold every output into one bit.

    No logic of the design can be optimised away, and every path into and out of it starts or
    ends in a register, so that the clock rate reported is the design's own.

    Parameters
    ----------
    design : wiring.Component
        Component with plain ports (no arrays) in the domain `sync`.

    Attributes
    ----------
    clk, rst : In(1)
        Clock; reset, synchronised here.
    serial : In(1)
        Shifted through all inputs of the design.
    folded : Out(1)
        Parity of all outputs, some cycles later.
    input_bits, output_bits : int
        Bits of the design's ports; each takes one register of the shell.
    """

    def __init__(self, design: wiring.Component) -> None:
        self.design = design
        self.input_bits = sum(len(value) for value in self._ports(wiring.In))
        self.output_bits = sum(len(value) for value in self._ports(wiring.Out))
        super().__init__({"clk": In(1), "rst": In(1), "serial": In(1), "folded": Out(1)})

    def _ports(self, flow: wiring.Flow) -> Iterator[Value]:
        for _, member, value in self.design.signature.flatten(self.design):
            if member.flow == flow:
                yield Value.cast(value)

    def elaborate(self, platform: object) -> Module:
        """Build the shell; works for any platform."""
        m = Module()
        m.domains.sync = ClockDomain()
        m.domains.pad = ClockDomain(reset_less=True)
        reset = Signal(2)
        m.d.pad += reset.eq(Cat(self.rst, reset[0]))
        m.d.comb += [
            ClockSignal("sync").eq(self.clk),
            ClockSignal("pad").eq(self.clk),
            ResetSignal("sync").eq(reset[1]),
        ]

        m.submodules.design = self.design
        shift = Signal(max(1, self.input_bits))
        m.d.pad += shift.eq(Cat(self.serial, shift))
        m.d.comb += Cat(*self._ports(wiring.In)).eq(shift)

        outputs = Signal(max(1, self.output_bits))
        m.d.pad += outputs.eq(Cat(*self._ports(wiring.Out)))
        m.d.comb += self.folded.eq(self._fold(m, outputs))
        return m

    def _fold(self, m: Module, bits: Value) -> Value:
        """Parity of `bits`, with a register after every look-up table."""
        level = 0
        while len(bits) > 1:
            groups: Sequence[Value] = [
                bits[low : low + FOLD].xor() for low in range(0, len(bits), FOLD)
            ]
            folded = Signal(len(groups), name=f"folded_{level}")
            m.d.pad += folded.eq(Cat(*groups))
            bits, level = folded, level + 1
        return bits
