# SPDX-License-Identifier: Apache-2.0
"""One processing element of the sparse engine."""

from amaranth import Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.arithmetic.delay import delay_line
from gcnloom_hw.layout import Shapes
from gcnloom_hw.memory.scratchpad import Scratchpad
from gcnloom_hw.streams.queue import Queue
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import HAZARD_DISTANCE

__all__ = ["ProcessingElement"]


class ProcessingElement(wiring.Component):
    """Multiply a row of operands by an edge's weight and add it to an accumulator row.

    Accepts one edge a cycle and never stalls. The accumulator row is read 3 cycles after the
    edge arrives and written 3 cycles after that, so an edge that names the same slot may follow
    4 cycles later. Products are exact; sums wrap modulo ``2 ** sum_width``.

    Three kinds of beat read no accumulator: the first edge of a slot; an edge that names the
    slot of the edge exactly 4 cycles before it, whose sum comes back from the adder; and no
    edge. In such a beat the oldest of the `slots` asked for is read instead. Its word can be
    taken from `words` 6 cycles after the beat or later, in the order of asking. No more than
    :attr:`depth` may be asked for and not taken.

    Parameters
    ----------
    config : AcceleratorConfig

    Attributes
    ----------
    edge : In(Shapes.edge)
        Nothing happens unless its `valid` is set.
    slot_base : In
        Added to the edge's slot.
    operands : In(Shapes.vector)
        Of the edge :attr:`operand_latency` cycles before.
    slots : In(stream.Signature(range(accumulator_depth)))
        Always ready.
    words : Out(stream.Signature(Shapes.sums))
    hazard : Out(1)
        An edge names a slot that an edge less than 4 cycles before it named.
    """

    depth = 16
    operand_latency = 3

    slots: stream.Interface
    words: stream.Interface

    def __init__(self, config: AcceleratorConfig) -> None:
        self.config = config
        shapes = Shapes(config)
        slot = range(max(2, config.accumulator_depth))
        super().__init__(
            {
                "edge": In(shapes.edge),
                "slot_base": In(slot),
                "operands": In(shapes.vector),
                "slots": In(stream.Signature(slot)),
                "words": Out(stream.Signature(shapes.sums)),
                "hazard": Out(1),
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
        slot = Signal.like(self.slot_base, reset_less=True)
        m.d.sync += slot.eq(self.slot_base + self.edge.slot)
        slots = [None, *delay_line(m, slot, 5, name="slot")]
        valids = delay_line(m, self.edge.valid, 6, name="valid", reset_less=False)
        clears = delay_line(m, self.edge.valid & self.edge.first, 4, name="clear", reset_less=False)
        old = delay_line(m, self.edge.valid & ~self.edge.first, 1, name="old", reset_less=False)
        again = Signal()
        m.d.comb += again.eq(old[1] & valids[5] & (slots[1] == slots[5]))
        returns = delay_line(m, again, 3, name="again", reset_less=False)
        reads = delay_line(m, old[1] & ~again, 1, name="read", reset_less=False)
        self._watch(m, slots, valids)

        read_slot = Signal.like(slot, reset_less=True)
        asked = self._read_out(m, memory.read_data, free=~reads[1])
        with m.If(reads[1]):
            m.d.sync += read_slot.eq(slots[2])
        with m.Else():
            m.d.sync += read_slot.eq(asked)
        m.d.comb += memory.read_address.eq(read_slot)

        # Clearing in front of the register keeps the adder's carry chain bare.
        word = Signal(Shapes(self.config).sums, reset_less=True)
        total = Signal.like(word, reset_less=True)
        earlier = delay_line(m, total.as_value(), HAZARD_DISTANCE - 2, name="earlier")[-1]
        with m.If(clears[4]):
            m.d.sync += word.as_value().eq(0)
        with m.Else():
            m.d.sync += word.as_value().eq(Mux(returns[3], earlier, memory.read_data))

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

    def _read_out(self, m, read_data, *, free):
        """Return the slot to read in a `free` cycle; queue what is read."""
        m.submodules.asked = asked = Queue(self.slots.payload.shape(), depth=self.depth)
        m.submodules.read = read = Queue(Shapes(self.config).sums, depth=self.depth)
        wiring.connect(m, outer=wiring.flipped(self.slots), inner=asked.i)
        granted = delay_line(m, asked.o.valid & free, 3, name="granted", reset_less=False)
        word = Signal(len(read_data), reset_less=True)
        m.d.comb += [
            asked.o.ready.eq(free),
            read.i.valid.eq(granted[3]),
            read.i.payload.as_value().eq(word),
        ]
        m.d.sync += word.eq(read_data)
        wiring.connect(m, inner=read.o, outer=wiring.flipped(self.words))
        return asked.o.payload

    def _watch(self, m, slots, valids):
        """Compare each edge with those just before it."""
        close = [
            valids[1] & valids[1 + distance] & (slots[1] == slots[1 + distance])
            for distance in range(1, HAZARD_DISTANCE)
        ]
        hazards = Signal(len(close))
        m.d.sync += [hazards[index].eq(each) for index, each in enumerate(close)]
        m.d.comb += self.hazard.eq(hazards.any())

    def _products(self, m):
        """Multipliers: a product for each lane, 4 cycles after its edge."""
        config = self.config
        weight = delay_line(m, self.edge.weight, self.operand_latency, name="weight")[-1]
        product = data.ArrayLayout(signed(2 * config.operand_width), config.lanes)
        products = Signal(product, reset_less=True)
        for lane in range(config.lanes):
            m.d.sync += products[lane].eq(self.operands[lane] * weight)
        return products
