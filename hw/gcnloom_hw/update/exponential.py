# SPDX-License-Identifier: Apache-2.0
"""One lane from a logit to its exponential, as ``gcnloom_spec.softmax.softmax`` defines it."""

from amaranth import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.arithmetic.delay import delay_line
from gcnloom_spec.isa import EMISSION
from gcnloom_spec.softmax import (
    DISTANCE_BITS,
    DISTANCE_FRACTION,
    MULTIPLIER_BITS,
    MULTIPLIER_FRACTION,
    PROBABILITY_FRACTION,
    TABLE_BITS,
    WANTED,
)

__all__ = ["EXPONENTIAL_BITS", "POWER_BITS", "Exponential"]

PRESHIFT = WANTED + DISTANCE_FRACTION
"""A logit is shifted left by so many bits, then right by the shift of the logits."""
DROP = DISTANCE_FRACTION + MULTIPLIER_FRACTION - TABLE_BITS
POWER_BITS = DISTANCE_BITS + MULTIPLIER_BITS - DROP
EXPONENTIAL_BITS = PROBABILITY_FRACTION + 1
FINE_BITS = 3
"""Low bits of the shift, done in the stage after that of the others."""


class Exponential(wiring.Component):
    """Turn the distance of a logit from the largest of its row into ``2 ** -power``.

    Accepts one logit a cycle; the exponential leaves :attr:`latency` cycles later. The table is
    outside, so that lanes can share it: its word for `entry` is taken up at `read` two cycles
    after.

    Parameters
    ----------
    sum_width : int

    Attributes
    ----------
    peak, logit : In(signed(sum_width))
        The peak is at least the logit where that counts.
    counts : In(1)
        Without it the exponential is zero.
    shift : In(6)
    multiplier : In(16)
        Both constant while logits are inside.
    nearest : Out(1)
        The logit equals the peak; 2 cycles after it came.
    power : Out(16)
        :attr:`power_latency` cycles after the logit came.
    entry : Out(10)
        Of the table, at the same time.
    read : In(16)
    exponential : Out(16)
    """

    nearest_latency = 2
    power_latency = 6
    table_latency = 2
    latency = power_latency + table_latency + 1

    def __init__(self, *, sum_width: int) -> None:
        self._sum_width = sum_width
        super().__init__(
            {
                "peak": In(signed(sum_width)),
                "logit": In(signed(sum_width)),
                "counts": In(1),
                "shift": In(EMISSION["shift"]),
                "multiplier": In(MULTIPLIER_BITS),
                "nearest": Out(1),
                "power": Out(POWER_BITS),
                "entry": Out(TABLE_BITS),
                "read": In(EXPONENTIAL_BITS),
                "exponential": Out(EXPONENTIAL_BITS),
            }
        )

    def elaborate(self, platform):
        m = Module()
        distance = self._distance(m)
        product = Signal(DISTANCE_BITS + MULTIPLIER_BITS, reset_less=True)
        m.d.sync += [
            product.eq(distance * self.multiplier),
            # What is added below the kept bits is half of the lowest of them.
            self.power.eq(product[DROP:] + product[DROP - 1]),
        ]
        m.d.comb += self.entry.eq(self.power[:TABLE_BITS])

        rest = self.latency - 1
        counts = delay_line(m, self.counts, rest, name="counts")[-1]
        whole = delay_line(m, self.power[TABLE_BITS:], self.table_latency, name="whole")[-1]
        places = (EXPONENTIAL_BITS - 1).bit_length()
        m.d.sync += self.exponential.eq(
            Mux(counts & ~whole[places:].any(), self.read >> whole[:places], 0)
        )
        return m

    def _distance(self, m):
        """Distance in the table's multiples, saturated; in four stages."""
        below = Signal(self._sum_width, reset_less=True)
        wide = Cat(Const(0, PRESHIFT), below)
        coarse = Signal(DISTANCE_BITS + (1 << FINE_BITS) - 1, reset_less=True)
        fine, distance = (
            Signal(DISTANCE_BITS, name=name, reset_less=True) for name in ("fine", "distance")
        )
        # Bits that no distance has a place for are found beside the shift, not behind it.
        far = Signal(self._sum_width, reset_less=True)
        beyond = Signal(reset_less=True)
        highest = DISTANCE_BITS - PRESHIFT
        m.d.sync += [
            far.eq(Cat(self.shift + highest <= bit for bit in range(self._sum_width))),
            below.eq((self.peak - self.logit)[: self._sum_width]),
            self.nearest.eq(below == 0),
            beyond.eq((below & far).any()),
            coarse.eq(wide >> (self.shift[FINE_BITS:] << FINE_BITS)),
            fine.eq(coarse >> self.shift[:FINE_BITS]),
            distance.eq(Mux(delay_line(m, beyond, 1, name="beyond")[-1], -1, fine)),
        ]
        return distance
