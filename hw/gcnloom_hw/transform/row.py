# SPDX-License-Identifier: Apache-2.0
"""One row of the systolic array: processing elements side by side, flat inside."""

from amaranth import Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.arithmetic.delay import delay_line
from gcnloom_hw.primitives.ice40 import MultiplyAdd
from gcnloom_spec.config import AcceleratorConfig

__all__ = ["ROW_CONTROL", "ArrayRow"]

ROW_CONTROL = data.StructLayout({"capture": 1, "enable": 1, "above": 1, "own": 1})
"""What a row does with a step: `capture` the right operand as weight; if `enable`,
accumulator = product + (`above`: upper accumulator) + (`own`: itself); never both. In a compact
accelerator it is always the product and the upper accumulator."""


class ArrayRow(wiring.Component):
    """Multiply, accumulate and pass on, every cycle, without ever waiting.

    A step enters the leftmost element with its left operand and control; element `c` takes the
    right operand and the upper accumulator that arrive `c` cycles later. Its new accumulator is
    at `accumulators` `latency` + `c` cycles after the step entered, its right operand at
    `rights_below` 1 + `c` cycles after. Accumulators wrap modulo ``2 ** sum_width``.

    Parameters
    ----------
    config : AcceleratorConfig

    Attributes
    ----------
    left, control : In
    rights, rights_below : In, Out
        One operand for each element.
    above, accumulators : In, Out
        One sum for each element.
    moves : In(1)
        Only in a compact accelerator, all of which stops without; its multipliers have to be told.
    """

    latency = 5
    short_latency = 3

    left: Signal
    control: data.View
    rights: data.View
    rights_below: data.View
    above: data.View
    accumulators: data.View

    def __init__(self, config: AcceleratorConfig) -> None:
        self.config = config
        if config.compact:
            self.latency = self.short_latency
        operands = data.ArrayLayout(signed(config.operand_width), config.columns)
        sums = data.ArrayLayout(signed(config.sum_width), config.columns)
        super().__init__(
            {
                "left": In(signed(config.operand_width)),
                "control": In(ROW_CONTROL),
                "rights": In(operands),
                "rights_below": Out(operands),
                "above": In(sums),
                "accumulators": Out(sums),
                **({"moves": In(1, init=1)} if config.compact else {}),
            }
        )

    def elaborate(self, platform):
        m = Module()
        columns = self.config.columns
        # Element c's pipeline is the row's delay line read c entries further on, so one line of
        # operands and one of control serve the whole row.
        lefts = delay_line(m, self.left, columns + 1, name="left")
        controls = delay_line(m, self.control, columns + 3, name="control", reset_less=False)
        for c in range(columns):
            self._element(
                m, c, factor=lefts[c + 2], capture=controls[c + 1].capture, control=controls[c + 4]
            )
        return m

    def _element(self, m, c, *, factor, capture, control):
        config = self.config
        operand = signed(config.operand_width)
        wide = signed(2 * config.operand_width)
        right = Signal(operand, name=f"right{c}", reset_less=True)
        weight = Signal(operand, name=f"weight{c}", reset_less=True)
        total = Signal(signed(config.sum_width), name=f"total{c}", reset_less=True)

        m.d.sync += right.eq(self.rights[c])
        with m.If(capture):
            m.d.sync += weight.eq(right)
        if config.compact:
            m.submodules[f"multiply_add{c}"] = cell = MultiplyAdd()
            m.d.comb += [
                cell.enable.eq(self.moves),
                cell.a.eq(factor),
                cell.b.eq(weight),
                cell.above.eq(self.above[c]),
                total.eq(cell.total),
            ]
        else:
            product = Signal(wide, name=f"product{c}", reset_less=True)
            addend = Signal(wide, name=f"addend{c}", reset_less=True)
            augend = Signal(signed(config.sum_width), name=f"augend{c}")
            # The multiplier's own delay leaves no room for a carry chain behind it.
            m.d.sync += [product.eq(factor * weight), addend.eq(product)]
            # AND-OR is one four-input table per bit in front of the carry chain; a hold is the
            # register's clock enable, so it costs the chain nothing.
            above = Mux(control.above, self.above[c], 0)
            m.d.comb += augend.eq(above | Mux(control.own, total, 0))
            with m.If(control.enable):
                m.d.sync += total.eq(augend + addend)
        m.d.comb += [self.rights_below[c].eq(right), self.accumulators[c].eq(total)]
