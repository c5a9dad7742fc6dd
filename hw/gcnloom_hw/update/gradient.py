# SPDX-License-Identifier: Apache-2.0
"""The gradients of a slice of logits: probability less one for the label, requantised."""

from functools import reduce
from operator import or_

from amaranth import Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.arithmetic.delay import delay_line
from gcnloom_hw.arithmetic.requantise import Requantise
from gcnloom_hw.layout import Shapes
from gcnloom_hw.update.exponential import EXPONENTIAL_BITS
from gcnloom_hw.update.normalise import PLACE_BITS, RECIPROCAL_BITS
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import EMISSION
from gcnloom_spec.softmax import PROBABILITY_FRACTION

__all__ = ["GRADIENT_BITS", "Gradient"]

GRADIENT_BITS = PROBABILITY_FRACTION + 2
"""From -1 to 1, both included."""


class Gradient(wiring.Component):
    """Multiply by the reciprocal, subtract the label, requantise to nearest.

    Accepts one slice a cycle; operands leave :attr:`latency` cycles later, the figures of their
    statistics one cycle after.

    Parameters
    ----------
    config : AcceleratorConfig

    Attributes
    ----------
    exponentials : In(ArrayLayout(16, update_width))
    labels : In(update_width)
        The lane that is the row's label, one-hot, or none.
    place, reciprocal : In
        Of the row, see :class:`~gcnloom_hw.update.normalise.Normalise`.
    keep : In(1)
        Without it all are zero.
    shift : In(6)
        Constant while slices are inside.
    operands : Out(Shapes.slice)
    envelope : Out(17)
    saturations : Out(range(update_width + 1))
    """

    exact_latency = 3
    latency = exact_latency + Requantise.latency

    def __init__(self, config: AcceleratorConfig) -> None:
        self.config = config
        lanes = config.update_width
        super().__init__(
            {
                "exponentials": In(data.ArrayLayout(EXPONENTIAL_BITS, lanes)),
                "labels": In(lanes),
                "place": In(PLACE_BITS),
                "reciprocal": In(RECIPROCAL_BITS),
                "keep": In(1),
                "shift": In(EMISSION["shift"]),
                "operands": Out(Shapes(config).slice),
                "envelope": Out(GRADIENT_BITS),
                "saturations": Out(range(lanes + 1)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        lanes = self.config.update_width
        place = delay_line(m, self.place, 1, name="place")[-1]
        labels = delay_line(m, self.labels, self.exact_latency - 1, name="labels")[-1]
        keep = delay_line(m, self.keep, self.exact_latency - 1, name="keep")[-1]
        folds, clipped = [], Signal(lanes)
        for index in range(lanes):
            gradient = self._exact(m, index, place, labels[index], keep)
            folds.append(gradient.as_unsigned() ^ gradient[-1].replicate(GRADIENT_BITS))
            lane = Requantise(operand_width=self.config.operand_width, sum_width=GRADIENT_BITS)
            m.submodules[f"lane{index}"] = lane
            m.d.comb += [
                lane.sum.eq(gradient),
                lane.shift.eq(self.shift),
                self.operands[index].eq(lane.result),
                clipped[index].eq(lane.clipped),
            ]
        folded = Signal(GRADIENT_BITS, reset_less=True)
        m.d.sync += [folded.eq(reduce(or_, folds)), self.saturations.eq(sum(clipped))]
        m.d.comb += self.envelope.eq(delay_line(m, folded, Requantise.latency, name="folded")[-1])
        return m

    def _exact(self, m, index, place, label, keep):
        """Probability less one for the label, of one lane; in three stages."""
        product, shifted, gradient = (
            Signal(shape, name=f"{name}{index}", reset_less=True)
            for name, shape in (
                ("product", EXPONENTIAL_BITS + RECIPROCAL_BITS),
                # One bit below those that are kept, to round with.
                ("shifted", EXPONENTIAL_BITS + RECIPROCAL_BITS - PROBABILITY_FRACTION + 1),
                ("gradient", signed(GRADIENT_BITS)),
            )
        )
        m.d.sync += [
            product.eq(self.exponentials[index] * self.reciprocal),
            shifted.eq(product[PROBABILITY_FRACTION - 1 :] >> place),
            gradient.eq(Mux(keep, shifted[1:] + shifted[0] - (label << PROBABILITY_FRACTION), 0)),
        ]
        return gradient
