# SPDX-License-Identifier: Apache-2.0
"""One over the sum of a row's exponentials, and the row's loss."""

from amaranth import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from gcnloom_hw.arithmetic.delay import delay_line
from gcnloom_hw.update.exponential import POWER_BITS
from gcnloom_spec.items import LABEL
from gcnloom_spec.softmax import (
    LOSS_FRACTION,
    PROBABILITY_FRACTION,
    TABLE_BITS,
    logarithms,
    reciprocals,
)

__all__ = ["LOSS_BITS", "PLACE_BITS", "RECIPROCAL_BITS", "TOTAL_BITS", "Normalise"]

TOTAL_BITS = PROBABILITY_FRACTION + LABEL.fields["label"]
"""No class has more than 1."""
PLACES = TOTAL_BITS - PROBABILITY_FRACTION
PLACE_BITS = (PLACES - 1).bit_length()
RECIPROCAL_BITS = max(reciprocals()).bit_length()
LOSS_BITS = POWER_BITS + 1


class Normalise(wiring.Component):
    """Look up reciprocal and logarithm of a sum that is at least 1.

    Accepts one row a cycle; results leave :attr:`latency` cycles later.

    Attributes
    ----------
    total : In(27)
        Multiples of ``2 ** -15``.
    power : In(16)
        Of the label.
    place : Out(4)
        The sum is ``2 ** place`` or more, less than twice that.
    reciprocal : Out(15)
        Of the sum over ``2 ** place``.
    loss : Out(17)
    """

    latency = 6

    def __init__(self) -> None:
        super().__init__(
            {
                "total": In(TOTAL_BITS),
                "power": In(POWER_BITS),
                "place": Out(PLACE_BITS),
                "reciprocal": Out(RECIPROCAL_BITS),
                "loss": Out(LOSS_BITS),
            }
        )

    def elaborate(self, platform):
        m = Module()
        place = Signal(PLACE_BITS, reset_less=True)
        total = Signal(TOTAL_BITS, reset_less=True)
        entry = Signal(TABLE_BITS, reset_less=True)
        highest = 0
        for number in range(1, PLACES):
            highest = Mux(self.total[PROBABILITY_FRACTION + number], number, highest)
        m.d.sync += [
            place.eq(highest),
            total.eq(self.total),
            entry.eq(total[PROBABILITY_FRACTION - TABLE_BITS :] >> place),
        ]
        reciprocal = self._look_up(m, "reciprocals", reciprocals(), RECIPROCAL_BITS, entry)
        logarithm = self._look_up(
            m, "logarithms", logarithms(), max(logarithms()).bit_length(), entry
        )

        # Of the entry in its third cycle; the loss adds in two more.
        places = delay_line(m, place, 5, name="place")
        power = delay_line(m, self.power, 5, name="power")[-1]
        bits = Signal(LOSS_BITS, reset_less=True)
        m.d.sync += [
            bits.eq(places[3].shift_left(LOSS_FRACTION) + logarithm),
            self.loss.eq(power + bits),
        ]
        m.d.comb += [
            self.place.eq(places[5]),
            self.reciprocal.eq(delay_line(m, reciprocal, 2, name="reciprocal")[-1]),
        ]
        return m

    @staticmethod
    def _look_up(m, name, table, bits, entry):
        """Add a table in block RAM with a register behind it."""
        m.submodules[name] = memory = Memory(shape=bits, depth=len(table), init=table)
        port = memory.read_port()
        m.d.comb += port.addr.eq(entry)
        return delay_line(m, port.data, 1, name=name)[-1]
