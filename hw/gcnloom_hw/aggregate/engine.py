# SPDX-License-Identifier: Apache-2.0
"""The sparse engine: executes Aggregate and, beside it, Drain."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.aggregate.collect import Collector
from gcnloom_hw.aggregate.drain import DRAIN_WORK, DrainControl
from gcnloom_hw.aggregate.operands import operand_feed
from gcnloom_hw.aggregate.pe import ProcessingElement
from gcnloom_hw.arithmetic.delay import delay_line
from gcnloom_hw.layout import Shapes
from gcnloom_hw.memory.grouped import GroupedMemory
from gcnloom_hw.streams.skid import Skid
from gcnloom_spec.config import LOCAL_BITS, AcceleratorConfig
from gcnloom_spec.isa import Unit

__all__ = ["AGGREGATE_WORK", "AggregateEngine"]

AGGREGATE_WORK = data.StructLayout(
    {
        "edge_base": LOCAL_BITS,
        "count": LOCAL_BITS,
        "operand_base": LOCAL_BITS,
        "slot_base": LOCAL_BITS,
        "signals": len(Unit),
    }
)
"""What the engine needs of an Aggregate."""


class AggregateEngine(wiring.Component):
    """Execute Aggregate and Drain commands, each kind in its own order.

    A beat of edges is issued every cycle, without a pause between two commands: an Aggregate
    takes its count of cycles (one, if that is zero), and signals one cycle after its last beat
    was issued. Its sums are in the accumulators 9 cycles after that beat (11 with operand banks),
    and operands are read up to 4 cycles after (5). Tokens settle for longer than the latter: a
    command that waits for one is accepted 8 cycles after the beat or later. If it is a Drain, it
    reads its first sum 7 cycles after that.

    A Drain asks for a word a cycle, and gets them in beats in which their elements read no sums
    for themselves: the first edges of slots, and beats without an edge. It produces a vector for
    every row, and one beat without `emit` if it has none. Sums wrap modulo ``2 ** sum_width``.

    Parameters
    ----------
    config : AcceleratorConfig

    Attributes
    ----------
    aggregates : In(stream.Signature(AGGREGATE_WORK))
    drains : In(stream.Signature(DRAIN_WORK))
    edge_writes, order_writes, operand_writes : In(stream.Signature(...))
        Always ready. A command that is accepted in the next cycle already sees the write.
    sums : Out(stream.Signature(Shapes.engine_sums))
    signals : Out(len(Unit))
        Of an Aggregate that ends.
    edges : Out(range(pes + 1))
        Valid edges that entered the processing elements in a cycle.
    beats, entries, stalled : Out(1)
        In the cycle before, a beat of edges was issued; a word was asked for; an order entry
        waited because that was not possible.
    hazard : Out(1)
        An edge came too soon after one of the same slot, or two read one operand bank; a sum may
        be wrong.
    aggregate_idle, drain_idle : Out(1)
        No command of the kind executes; no sums are on their way out.
    """

    drain_latency = 14
    """Cycles from accepting a Drain to the first word of it at `sums`, if nothing holds it up."""

    aggregates: stream.Interface
    drains: stream.Interface
    edge_writes: stream.Interface
    order_writes: stream.Interface
    operand_writes: stream.Interface
    sums: stream.Interface

    def __init__(self, config: AcceleratorConfig) -> None:
        self.config = config
        shapes = Shapes(config)
        super().__init__(
            {
                "aggregates": In(stream.Signature(AGGREGATE_WORK)),
                "drains": In(stream.Signature(DRAIN_WORK)),
                "edge_writes": In(stream.Signature(shapes.edge_write)),
                "order_writes": In(stream.Signature(shapes.order_write)),
                "operand_writes": In(stream.Signature(shapes.vector_write)),
                "sums": Out(stream.Signature(shapes.engine_sums)),
                "signals": Out(len(Unit)),
                "edges": Out(range(config.pes + 1)),
                "beats": Out(1),
                "entries": Out(1),
                "stalled": Out(1),
                "hazard": Out(1),
                "aggregate_idle": Out(1),
                "drain_idle": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.drain = drain = DrainControl(self.config)
        m.submodules.collector = collector = Collector(self.config)
        address, bases, beat = self._issue(m)
        edges = self._fetch(m, address, beat)
        m.submodules.operands = operands = operand_feed(self.config)(self.config)
        wiring.connect(m, outer=wiring.flipped(self.operand_writes), inner=operands.writes)
        base = delay_line(m, bases, 2, name="base")[2]
        m.d.comb += [
            operands.edges.eq(edges),
            operands.base.eq(base.operand[: len(operands.base)]),
        ]
        elements = self._elements(m, edges, base.slot, operands, drain)

        # Whoever gives commands is far from what decides that the next one may come.
        m.submodules.drains = drains = Skid(DRAIN_WORK)
        wiring.connect(m, outer=wiring.flipped(self.drains), inner=drains.i)
        wiring.connect(m, inner=drains.o, drain=drain.commands)
        wiring.connect(m, outer=wiring.flipped(self.order_writes), inner=drain.order_writes)
        wiring.connect(m, drain=drain.parts, collector=collector.parts)
        wiring.connect(m, inner=collector.sums, outer=wiring.flipped(self.sums))
        m.d.comb += [
            drain.taken.eq(collector.taken),
            collector.present.eq(Cat(element.words.valid for element in elements)),
            self.entries.eq(drain.entries),
            self.stalled.eq(drain.stalled),
            self.drain_idle.eq(drain.idle & collector.empty & drains.i.ready),
        ]
        for pe, element in enumerate(elements):
            m.d.comb += [
                collector.words[pe].eq(element.words.payload),
                element.words.ready.eq(collector.taken[pe]),
            ]
        hazards = Cat(operands.conflict, *(element.hazard for element in elements))
        m.d.sync += self.hazard.eq(hazards.any())
        return m

    def _issue(self, m):
        """Issue a beat a cycle; return its address, its bases and whether it is one."""
        running, final, void = Signal(), Signal(), Signal()
        address = Signal(LOCAL_BITS, reset_less=True)
        remaining = Signal(LOCAL_BITS, reset_less=True)
        signals = Signal(len(Unit), reset_less=True)
        bases = Signal(
            data.StructLayout({"operand": LOCAL_BITS, "slot": LOCAL_BITS}), reset_less=True
        )
        work = self.aggregates.p
        beat = Signal()
        m.d.comb += [
            self.aggregates.ready.eq(~running | final),
            self.aggregate_idle.eq(~running),
            beat.eq(running & ~void),
        ]
        m.d.sync += [
            self.beats.eq(beat),
            self.signals.eq(Mux(running & final, signals, 0)),
            address.eq(address + 1),
            remaining.eq(remaining - 1),
            final.eq(remaining == 2),
        ]
        with m.If(self.aggregates.ready):
            m.d.sync += [
                running.eq(self.aggregates.valid),
                address.eq(work.edge_base),
                bases.operand.eq(work.operand_base),
                bases.slot.eq(work.slot_base),
                signals.eq(work.signals),
                remaining.eq(work.count),
                final.eq(work.count[1:] == 0),
                void.eq(work.count == 0),
            ]
        return address, bases, beat

    def _fetch(self, m, address, beat):
        """Return the edges that `address` named 2 cycles ago; none are valid without `beat`."""
        shape = Shapes(self.config).beat
        m.submodules.edge_memory = memory = GroupedMemory(
            width=shape.size, depth=self.config.edge_depth, group=self.config.edge_group
        )
        memory.connect(m, self.edge_writes)
        m.d.comb += memory.read_address.eq(address[: len(memory.read_address)])
        raw = data.View(shape, memory.read_data)
        words = Signal(shape, reset_less=True)
        valid = Signal(self.config.pes)
        beats = delay_line(m, beat, 1, name="beat", reset_less=False)
        m.d.sync += [
            words.eq(raw),
            valid.eq(Cat(edge.valid & beats[1] for edge in raw)),
            self.edges.eq(sum(valid)),
        ]
        return self._beat(m, words, valid)

    def _beat(self, m, words, valid):
        """Return the edges `words`, of which only those in `valid` are."""
        edges = Signal(Shapes(self.config).beat)
        m.d.comb += edges.eq(words)
        for pe in range(self.config.pes):
            m.d.comb += edges[pe].valid.eq(valid[pe])
        return edges

    def _elements(self, m, edges, slot_base, operands, drain):
        """Build the processing elements; feed them edges, operands and what is asked of them."""
        late = operands.latency - ProcessingElement.operand_latency
        valid = Cat(edge.valid for edge in edges)
        edges = self._beat(
            m,
            delay_line(m, edges, late, name="edges_late")[-1],
            delay_line(m, valid, late, name="valid_late", reset_less=False)[-1],
        )
        slot_base = delay_line(m, slot_base, late, name="slot_base_late")[-1]
        elements = []
        for pe in range(self.config.pes):
            m.submodules[f"pe{pe}"] = element = ProcessingElement(self.config)
            m.d.comb += [
                element.edge.eq(edges[pe]),
                element.operands.eq(operands.operands[pe]),
                element.slot_base.eq(slot_base[: len(element.slot_base)]),
                element.slots.valid.eq(drain.asks[pe]),
                element.slots.payload.eq(drain.slot),
            ]
            elements.append(element)
        return elements
