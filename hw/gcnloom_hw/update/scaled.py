# SPDX-License-Identifier: Apache-2.0
"""A term times a power of two; bit-exact with ``gcnloom_spec.descent.scaled``."""

from amaranth import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.arithmetic.delay import delay_line
from gcnloom_hw.arithmetic.requantise import FINE_BITS, shifted
from gcnloom_spec.descent import PRESHIFT
from gcnloom_spec.number import limits

__all__ = ["Scaled"]


class Scaled(wiring.Component):
    """``floor(value * 2 ** (PRESHIFT - shift))``, saturated.

    Shifts by whole bytes, then by bits, then saturates. Accepts a value every cycle; the result
    leaves :attr:`latency` cycles later.

    Parameters
    ----------
    width : int
        Bits of a value.
    result_width : int

    Attributes
    ----------
    value : In(signed(width))
    shift : In(6)
    result : Out(signed(result_width))
    """

    latency = 3

    value: Signal
    shift: Signal
    result: Signal

    def __init__(self, *, width: int, result_width: int) -> None:
        self._width = width
        self._result_width = result_width
        super().__init__(
            {
                "value": In(signed(width)),
                "shift": In(6),
                "result": Out(signed(result_width)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        # Of what the first stage shifts, the second brings so many bits into a result.
        kept = self._result_width + (1 << FINE_BITS) - 1
        wide = Cat(Const(0, PRESHIFT), self.value).as_signed()
        octets = shifted(wide, self.shift[FINE_BITS:], 8)
        coarse, fine = (
            Signal(signed(kept), name=name, reset_less=True) for name in ("coarse", "fine")
        )
        beyond = Signal(reset_less=True)
        rest = delay_line(m, self.shift[:FINE_BITS], 1, name="rest")[-1]
        negative = delay_line(m, self.value[-1], 2, name="negative")[-1]
        m.d.sync += [
            coarse.eq(octets),
            fine.eq(shifted(coarse, rest, 1)),
        ]

        if len(octets) > kept:
            above = octets[kept - 1 :]
            m.d.sync += beyond.eq(above.any() & ~above.all())

        low, high = limits(self._result_width)
        top = fine[self._result_width - 1 :]
        clip = delay_line(m, beyond, 1, name="beyond")[-1] | (top.any() & ~top.all())
        result = Signal(signed(self._result_width), reset_less=True)
        m.d.sync += result.eq(Mux(clip, Mux(negative, low, high), fine))
        m.d.comb += self.result.eq(result)
        return m
