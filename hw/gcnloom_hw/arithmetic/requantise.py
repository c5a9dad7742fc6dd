# SPDX-License-Identifier: Apache-2.0
"""Shift, round and saturate one lane of sums; bit-exact with ``gcnloom_spec.number.requantise``."""

from amaranth import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.arithmetic.delay import delay_line
from gcnloom_spec.number import NOISE_BITS, limits

__all__ = ["FINE_BITS", "Requantise", "shifted"]

FINE_BITS = 3
"""Low bits of a shift, done in the second stage; the first shifts by whole bytes."""


def shifted(value: Value, amount: Value, step: int) -> Value:
    """Arithmetic right shift by ``amount * step``, one level of multiplexers a bit."""
    for level in reversed(range(len(amount))):
        value = Mux(amount[level], value.shift_right(step << level), value)
    return value


class Requantise(wiring.Component):
    """Turn a sum into an operand, ``floor(sum / 2**shift + noise)``, saturated.

    The addition that the definition does before the shift is done after it: only
    :data:`~gcnloom_spec.number.NOISE_BITS` bits of the remainder, and whether any below them is
    set, can decide the carry, so that no adder is wider than an operand. Accepts one sum a cycle;
    the result leaves `latency` cycles later. Shifts 0 to 63.

    Parameters
    ----------
    operand_width, sum_width : int
    compact : bool
        Registers after the shift and at the result only, and no `noise`: always to nearest.

    Attributes
    ----------
    sum : In(signed(sum_width))
    shift : In(6)
    stochastic : In(1)
        Round with `noise`; otherwise to nearest, ties to even.
    noise : In(8)
    raw : In(1)
        Hand the sum out unchanged; `shift` must be zero.
    result : Out(signed(sum_width))
        The operand, sign-extended, or the raw sum.
    clipped : Out(1)
        The operand was saturated.
    """

    latency = 4
    short_latency = 2

    def __init__(self, *, operand_width: int, sum_width: int, compact: bool = False) -> None:
        self.operand_width = operand_width
        self.sum_width = sum_width
        self._compact = compact
        if compact:
            self.latency = self.short_latency
        self._noise_bits = 1 if compact else NOISE_BITS
        super().__init__(
            {
                "sum": In(signed(sum_width)),
                "shift": In(6),
                "stochastic": In(1),
                "noise": In(NOISE_BITS),
                "raw": In(1),
                "result": Out(signed(sum_width)),
                "clipped": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        wide, sticky, far = self._shift(m)
        if self._compact:
            self._round(m, wide, sticky, far)
            return m

        # Decide: does the remainder carry, and is the quotient far outside the operand range?
        fraction, quotient = wide[:NOISE_BITS], wide[NOISE_BITS:]
        noise = delay_line(m, self.noise, 2, name="noise")[-1]
        stochastic = delay_line(m, self.stochastic, 2, name="stochastic")[-1]
        half = 1 << (NOISE_BITS - 1)
        addend = Mux(stochastic, noise, Mux(quotient[0] | sticky, half, half - 1))
        above = wide[NOISE_BITS + self.operand_width : self.window]
        carry = Signal(reset_less=True)
        beyond = Signal(reset_less=True)
        floor = Signal(signed(self.sum_width), reset_less=True)
        m.d.sync += [
            carry.eq((fraction + addend)[NOISE_BITS]),
            beyond.eq(far | (above ^ wide[-1].replicate(len(above))).any()),
            floor.eq(quotient),
        ]
        self._saturate(m, floor, carry, beyond, delay_line(m, self.raw, 3, name="raw")[-1])
        return m

    def _round(self, m, wide, sticky, far):
        """Round to nearest, ties to even, and clip, all in one cycle."""
        quotient = wide[1:].as_signed()
        above = quotient[self.operand_width :]
        beyond = far | (above ^ wide[-1].replicate(len(above))).any()
        carry = wide[0] & (quotient[0] | sticky)
        self._saturate(m, quotient, carry, beyond, delay_line(m, self.raw, 1, name="raw")[-1])

    @property
    def window(self) -> int:
        """Low bits that are shifted, in whole bytes: all that a result can follow from."""
        needed = self._noise_bits + self.operand_width + (1 << FINE_BITS)
        return min(-(-needed // 8) * 8, self.sum_width + self._noise_bits)

    def _shift(self, m):
        """Shift in two stages; also say whether a lost bit was set, and one above the window.

        The sum has fraction bits below it. What is above the window stays where it is, so that a
        shift of nothing leaves all of the sum.
        """
        width, window = self.sum_width + self._noise_bits, self.window
        wide = Cat(Const(0, self._noise_bits), self.sum)
        coarse = Signal(width, reset_less=not self._compact)
        fine = Signal(width, reset_less=True)
        coarse_sticky, sticky = Signal(reset_less=not self._compact), Signal(reset_less=True)
        far = Signal(reset_less=True)
        steps = self.shift[FINE_BITS:]
        between = 0 if self._compact else 1
        rest = delay_line(m, self.shift[:FINE_BITS], between, name="rest")[-1]
        octets = [wide[i : i + 8] for i in range(0, width, 8)]
        lost = [octet.any() & (steps > i) for i, octet in enumerate(octets)]
        folds = [octet ^ wide[-1].replicate(len(octet)) for octet in octets[window // 8 :]]
        left = [fold.any() & (steps <= i) for i, fold in enumerate(folds)]
        low = coarse[:window].as_signed()
        coarsely = m.d.comb if self._compact else m.d.sync
        coarsely += [
            coarse.eq(Cat(shifted(wide.as_signed(), steps, 8)[:window], wide[window:])),
            coarse_sticky.eq(Cat(lost).any()),
        ]
        m.d.sync += [
            far.eq(Cat(left).any()),
            fine.eq(Cat(shifted(low, rest, 1)[:window], coarse[window:])),
            sticky.eq(coarse_sticky | Cat(coarse[i] & (rest > i) for i in range(7)).any()),
        ]
        return fine, sticky, delay_line(m, far, between, name="far")[-1]

    def _saturate(self, m, floor, carry, beyond, raw):
        """Add the carry and clip."""
        low, high = limits(self.operand_width)
        rounded = Signal(signed(self.operand_width + 2))
        clip = Signal()
        top = rounded[self.operand_width - 1 :]
        m.d.comb += [
            rounded.eq(floor[: self.operand_width + 1].as_signed() + carry),
            clip.eq(~raw & (beyond | (top.any() & ~top.all()))),
        ]
        m.d.sync += self.clipped.eq(clip)
        with m.If(raw):
            m.d.sync += self.result.eq(floor)
        with m.Elif(clip):
            m.d.sync += self.result.eq(Mux(floor[-1], low, high))
        with m.Else():
            m.d.sync += self.result.eq(rounded)
