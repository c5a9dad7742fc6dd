# SPDX-License-Identifier: Apache-2.0
"""The systolic array: rows of elements between input skew and output deskew."""

from amaranth import Module, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.arithmetic.delay import delay_line
from gcnloom_hw.transform.row import ROW_CONTROL, ArrayRow
from gcnloom_spec.config import AcceleratorConfig

__all__ = ["SystolicArray", "array_latency"]


def array_latency(config: AcceleratorConfig) -> int:
    """Cycles from a step to what it leaves in the bottom row."""
    row = ArrayRow.short_latency if config.compact else ArrayRow.latency
    return row + (config.rows - 1) + (config.columns - 1)


class SystolicArray(wiring.Component):
    """A grid of multiply-accumulate elements that takes one step every cycle.

    All parts of a step are given in the same cycle and meet in every element, where steps
    follow each other in the order given. Entry `k` of `lefts` and `controls` belongs to logical
    row `k`, the `k`-th from the bottom: sums flow down, so lifting the rows out one by one from
    the bottom upwards gives them in logical order. What a step leaves in the bottom row is at
    `sums` :attr:`latency` cycles later.

    Parameters
    ----------
    config : AcceleratorConfig

    Attributes
    ----------
    lefts : In(data.ArrayLayout(signed(operand_width), rows))
    rights : In(data.ArrayLayout(signed(operand_width), columns))
    controls : In(data.ArrayLayout(ROW_CONTROL, rows))
    sums : Out(data.ArrayLayout(signed(sum_width), columns))
    moves : In(1)
        Only in a compact accelerator, see :class:`~gcnloom_hw.transform.row.ArrayRow`.
    latency : int
    """

    lefts: data.View
    rights: data.View
    controls: data.View
    sums: data.View

    def __init__(self, config: AcceleratorConfig) -> None:
        self.config = config
        self.latency = array_latency(config)
        operand = signed(config.operand_width)
        super().__init__(
            {
                "lefts": In(data.ArrayLayout(operand, config.rows)),
                "rights": In(data.ArrayLayout(operand, config.columns)),
                "controls": In(data.ArrayLayout(ROW_CONTROL, config.rows)),
                "sums": Out(data.ArrayLayout(signed(config.sum_width), config.columns)),
                **({"moves": In(1, init=1)} if config.compact else {}),
            }
        )

    def elaborate(self, platform):
        m = Module()
        rows, columns = self.config.rows, self.config.columns
        grid = [ArrayRow(self.config) for _ in range(rows)]
        for place, row in enumerate(grid):
            m.submodules[f"row{place}"] = row
            if self.config.compact:
                m.d.comb += row.moves.eq(self.moves)
            logical = rows - 1 - place
            left = delay_line(m, self.lefts[logical], place, name=f"left{place}")
            control = delay_line(
                m, self.controls[logical], place, name=f"control{place}", reset_less=False
            )
            m.d.comb += [row.left.eq(left[-1]), row.control.eq(control[-1])]
            if place > 0:
                m.d.comb += [
                    row.rights.eq(grid[place - 1].rights_below),
                    row.above.eq(grid[place - 1].accumulators),
                ]
        for c in range(columns):
            right = delay_line(m, self.rights[c], c, name=f"right{c}")
            total = delay_line(m, grid[-1].accumulators[c], columns - 1 - c, name=f"sum{c}")
            m.d.comb += [grid[0].rights[c].eq(right[-1]), self.sums[c].eq(total[-1])]
        return m
