# SPDX-License-Identifier: Apache-2.0
"""The weight step of one lane; bit-exact with ``gcnloom_spec.descent.step``."""

from amaranth import Cat, Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.arithmetic.delay import delay_line
from gcnloom_hw.arithmetic.requantise import Requantise
from gcnloom_hw.update.ring import Ring
from gcnloom_hw.update.rounded import Rounded
from gcnloom_hw.update.scaled import Scaled
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.descent import COEFFICIENT_BITS, GUARD_BITS
from gcnloom_spec.number import NOISE_BITS

__all__ = ["CONTROLS", "StepLane"]

SUMMED = 2 + Scaled.latency + 1
"""Age of a vector whose three terms have been added: first two registers at the multipliers."""
TURNED = SUMMED + Rounded.latency
"""Age with new momenta."""
REDUCED = TURNED + 1 + Scaled.latency + 1
"""Age at which the momenta have been subtracted from the weights: first a multiplication."""
STEPPED = REDUCED + Rounded.latency
"""Age with new weights."""

CONTROLS = {
    "momentum_factor": (COEFFICIENT_BITS, 0),
    "decay": (COEFFICIENT_BITS, 0),
    "sum_shift": (6, 1),
    "decay_shift": (6, 2),
    "stochastic": (1, SUMMED),
    "rate": (COEFFICIENT_BITS, TURNED - 1),
    "rate_shift": (6, TURNED + 1),
    "stochastic_weight": (1, REDUCED),
    "operand_shift": (6, STEPPED),
}
"""Width of each control, and how many cycles after its lane's vector the lane wants it."""


class StepLane(wiring.Component):
    """Step one weight and its momentum.

    Accepts a weight every cycle. The new weight and momentum leave :attr:`stepped` cycles later,
    the operand :attr:`latency` cycles later. Everything saturates.

    Parameters
    ----------
    config : AcceleratorConfig

    Attributes
    ----------
    weight, momentum : In(signed(config.master_width))
    sum : In(signed(config.sum_width))
    momentum_noise, weight_noise : In(8)
    momentum_factor, decay, sum_shift, ... : In
        As :data:`CONTROLS` says, each so many cycles after the weight that it belongs to.
    new_weight, new_momentum : Out(signed(config.master_width))
    clipped_weight, clipped_momentum : Out(1)
        With the new weight: what was saturated.
    operand : Out(signed(config.operand_width))
    clipped_operand : Out(1)
    """

    stepped = STEPPED
    latency = STEPPED + Requantise.latency

    def __init__(self, config: AcceleratorConfig) -> None:
        self.config = config
        master = signed(config.master_width)
        super().__init__(
            {
                "weight": In(master),
                "momentum": In(master),
                "sum": In(signed(config.sum_width)),
                "momentum_noise": In(NOISE_BITS),
                "weight_noise": In(NOISE_BITS),
                **{name: In(width) for name, (width, _) in CONTROLS.items()},
                "new_weight": Out(master),
                "new_momentum": Out(master),
                "clipped_weight": Out(1),
                "clipped_momentum": Out(1),
                "operand": Out(signed(config.operand_width)),
                "clipped_operand": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        turned = self._turn(m)
        reduced = self._reduce(m, turned)
        m.submodules.stepped = stepped = Rounded(
            width=len(reduced), result_width=self.config.master_width
        )
        m.d.comb += [
            stepped.total.eq(reduced),
            stepped.stochastic.eq(self.stochastic_weight),
            stepped.noise.eq(self._aged(m, "weight_noise", self.weight_noise, REDUCED)),
            self.new_weight.eq(stepped.result),
            self.clipped_weight.eq(stepped.clipped),
        ]
        momentum = self._aged(m, "turned", Cat(turned.result, turned.clipped), STEPPED - TURNED)
        m.d.comb += Cat(self.new_momentum, self.clipped_momentum).eq(momentum)
        self._requantise(m, stepped.result)
        return m

    @staticmethod
    def _aged(m, name, value, cycles):
        """Value as it was `cycles` cycles ago."""
        m.submodules[f"aged_{name}"] = ring = Ring(len(value), cycles=cycles)
        m.d.comb += ring.i.eq(value)
        return ring.o

    def _turn(self, m):
        """Add momentum, gradient and decay, and round."""
        width = self.config.master_width
        guarded = width + GUARD_BITS
        weight, momentum, total = (
            delay_line(m, value, 1, name=name)[-1]
            for name, value in (
                ("weight", self.weight),
                ("momentum", self.momentum),
                ("sum", self.sum),
            )
        )
        factor = delay_line(m, self.momentum_factor, 1, name="factor")[-1]
        decay = delay_line(m, self.decay, 1, name="decay")[-1]
        kept = Signal(signed(width + COEFFICIENT_BITS), reset_less=True)
        decayed = Signal(signed(width + COEFFICIENT_BITS), reset_less=True)
        m.d.sync += [kept.eq(momentum * factor), decayed.eq(weight * decay)]

        m.submodules.gradient = gradient = Scaled(width=len(total), result_width=guarded)
        m.submodules.decayed = scaled_decay = Scaled(width=len(decayed), result_width=guarded)
        m.d.comb += [
            gradient.value.eq(total),
            gradient.shift.eq(self.sum_shift),
            scaled_decay.value.eq(decayed),
            scaled_decay.shift.eq(self.decay_shift),
        ]
        # The sum's power is there a cycle before that of the product.
        kept = delay_line(m, kept, Scaled.latency - 1, name="kept")[-1]
        partial = Signal(signed(guarded + 1), reset_less=True)
        added = Signal(signed(guarded + 2), reset_less=True)
        m.d.sync += [
            partial.eq(kept + gradient.result),
            added.eq(partial + scaled_decay.result),
        ]
        m.submodules.turned = turned = Rounded(width=len(added), result_width=width)
        m.d.comb += [
            turned.total.eq(added),
            turned.stochastic.eq(self.stochastic),
            turned.noise.eq(self._aged(m, "momentum_noise", self.momentum_noise, SUMMED)),
        ]
        return turned

    def _reduce(self, m, turned):
        """Subtract the new momentum, times the rate, from the weight."""
        width = self.config.master_width
        rate = delay_line(m, self.rate, 1, name="rate")[-1]
        product = Signal(signed(width + COEFFICIENT_BITS), reset_less=True)
        m.d.sync += product.eq(turned.result * rate)
        m.submodules.descent = descent = Scaled(width=len(product), result_width=width + GUARD_BITS)
        weight = self._aged(m, "weight", self.weight, REDUCED - 1).as_signed()
        reduced = Signal(signed(width + GUARD_BITS + 1), reset_less=True)
        m.d.comb += [descent.value.eq(product), descent.shift.eq(self.rate_shift)]
        m.d.sync += reduced.eq((weight << NOISE_BITS) - descent.result)
        return reduced

    def _requantise(self, m, weight):
        """Make an operand of the new weight."""
        operand_width = self.config.operand_width
        # The requantiser looks one bit beyond an operand.
        m.submodules.requantise = requantise = Requantise(
            operand_width=operand_width,
            sum_width=max(self.config.master_width, operand_width + 1),
        )
        m.d.comb += [
            requantise.sum.eq(weight),
            requantise.shift.eq(self.operand_shift),
            self.operand.eq(requantise.result),
            self.clipped_operand.eq(requantise.clipped),
        ]
