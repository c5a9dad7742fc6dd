# SPDX-License-Identifier: Apache-2.0
"""A sum of terms to a weight: ``gcnloom_spec.number.requantise`` with a shift of 8."""

from amaranth import Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gcnloom_spec.number import NOISE_BITS, limits

__all__ = ["Rounded"]


class Rounded(wiring.Component):
    """``floor(total / 256 + noise)``, saturated.

    The fraction decides the carry first, then the carry is added and the result clipped. Accepts
    a total every cycle; the result leaves :attr:`latency` cycles later.

    Parameters
    ----------
    width : int
        Bits of a total.
    result_width : int

    Attributes
    ----------
    total : In(signed(width))
    stochastic : In(1)
        Round with `noise`; otherwise to nearest, ties to even.
    noise : In(8)
    result : Out(signed(result_width))
    clipped : Out(1)
    """

    latency = 2

    total: Signal
    stochastic: Signal
    noise: Signal
    result: Signal
    clipped: Signal

    def __init__(self, *, width: int, result_width: int) -> None:
        self._width = width
        self._result_width = result_width
        super().__init__(
            {
                "total": In(signed(width)),
                "stochastic": In(1),
                "noise": In(NOISE_BITS),
                "result": Out(signed(result_width)),
                "clipped": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        fraction, quotient = self.total[:NOISE_BITS], self.total[NOISE_BITS:].as_signed()
        half = 1 << (NOISE_BITS - 1)
        addend = Mux(self.stochastic, self.noise, Mux(quotient[0], half, half - 1))
        floor = Signal(signed(len(quotient)), reset_less=True)
        carry = Signal(reset_less=True)
        m.d.sync += [
            floor.eq(quotient),
            carry.eq((fraction + addend)[NOISE_BITS]),
        ]

        low, high = limits(self._result_width)
        rounded = Signal(signed(len(floor) + 1))
        top = rounded[self._result_width - 1 :]
        clip = Signal()
        result = Signal(signed(self._result_width), reset_less=True)
        clipped = Signal(reset_less=True)
        m.d.comb += [
            rounded.eq(floor + carry),
            clip.eq(top.any() & ~top.all()),
            self.result.eq(result),
            self.clipped.eq(clipped),
        ]
        m.d.sync += [
            clipped.eq(clip),
            result.eq(Mux(clip, Mux(floor[-1], low, high), rounded)),
        ]
        return m
