# SPDX-License-Identifier: Apache-2.0
"""One processing element of the sparse engine."""

from amaranth import Module, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.arithmetic.delay import delay_line
from gcnloom_hw.layout import Shapes
from gcnloom_hw.memory.scratchpad import Scratchpad
from gcnloom_spec.config import AcceleratorConfig

__all__ = ["ProcessingElement"]


class ProcessingElement(wiring.Component):
    """Multiply a row of operands by an edge's weight and add it to an accumulator row.

    Accepts one edge a cycle and never stalls. The accumulator row is read 3 cycles after the
    edge arrives and written 3 cycles after that, so an edge that names the same slot may follow
    4 cycles later. A row to be drained is named by `peek` and appears at `word`
    :attr:`peek_latency` cycles later, as long as no edge arrived 1 to 6 cycles before. Products
    are exact; sums wrap modulo ``2 ** sum_width``.

    Parameters
    ----------
    config : AcceleratorConfig

    Attributes
    ----------
    write_enable, write : In
        A vector for this element's copy of the operand memory (`bank` is ignored); a read that
        is presented 2 cycles later sees it.
    edge : In(Shapes.edge)
        Nothing happens unless its `valid` is set.
    operand_base : In
        Added to the edge's column.
    peek, slot : In
        Read accumulator row `slot`.
    word : Out(Shapes.sums)
    """

    peek_latency = 3

    def __init__(self, config: AcceleratorConfig) -> None:
        self.config = config
        shapes = Shapes(config)
        super().__init__(
            {
                "write_enable": In(1),
                "write": In(shapes.vector_write),
                "edge": In(shapes.edge),
                "operand_base": In(range(config.operand_depth)),
                "peek": In(1),
                "slot": In(range(config.accumulator_depth)),
                "word": Out(shapes.sums),
            }
        )

    def elaborate(self, platform):
        m = Module()
        width = self.config.operand_width
        products = self._products(m)

        # Cycles after the edge's arrival: 3 read, 5 add, 6 write.
        m.submodules.sums = memory = Scratchpad(
            width=self.config.lanes * self.config.sum_width, depth=self.config.accumulator_depth
        )
        slots = delay_line(m, self.edge.slot, 6, name="slot")
        valids = delay_line(m, self.edge.valid, 6, name="valid", reset_less=False)
        clears = delay_line(m, self.edge.valid & self.edge.first, 4, name="clear", reset_less=False)

        read_slot = Signal.like(self.slot, reset_less=True)
        with m.If(self.peek):
            m.d.sync += read_slot.eq(self.slot)
        with m.Else():
            m.d.sync += read_slot.eq(slots[2])
        m.d.comb += memory.read_address.eq(read_slot)

        # Clearing in front of the register keeps the adder's carry chain bare.
        word = Signal.like(self.word, reset_less=True)
        with m.If(clears[4]):
            m.d.sync += word.as_value().eq(0)
        with m.Else():
            m.d.sync += word.as_value().eq(memory.read_data)
        m.d.comb += self.word.eq(word)

        total = Signal.like(word, reset_less=True)
        for lane in range(self.config.lanes):
            product = Signal(signed(2 * width), name=f"addend{lane}", reset_less=True)
            m.d.sync += product.eq(products[lane])
            m.d.sync += total[lane].eq(word[lane] + product)
        m.d.comb += [
            memory.write_enable.eq(valids[6]),
            memory.write_address.eq(slots[6]),
            memory.write_data.eq(total),
        ]
        return m

    def _products(self, m):
        """Operand memory and multipliers: a product for each lane, 4 cycles after its edge."""
        config = self.config
        m.submodules.operands = memory = Scratchpad(
            width=config.lanes * config.operand_width, depth=config.operand_depth
        )
        # This element's own copy of the register that feeds a wide broadcast.
        write = Signal.like(self.write, reset_less=True)
        write_enable = Signal()
        m.d.sync += [write.eq(self.write), write_enable.eq(self.write_enable)]
        m.d.comb += [
            memory.write_enable.eq(write_enable),
            memory.write_address.eq(write.address[: len(memory.write_address)]),
            memory.write_data.eq(write.data),
        ]

        address = Signal.like(memory.read_address, reset_less=True)
        operands = Signal(write.data.shape(), reset_less=True)
        weight = delay_line(m, self.edge.weight, 3, name="weight")[3]
        m.d.sync += [
            address.eq(self.operand_base + self.edge.column),
            operands.as_value().eq(memory.read_data),
        ]
        m.d.comb += memory.read_address.eq(address)

        product = data.ArrayLayout(signed(2 * config.operand_width), config.lanes)
        products = Signal(product, reset_less=True)
        for lane in range(config.lanes):
            m.d.sync += products[lane].eq(operands[lane] * weight)
        return products
