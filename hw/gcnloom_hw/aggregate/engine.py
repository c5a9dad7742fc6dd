# SPDX-License-Identifier: Apache-2.0
"""The sparse engine: executes Aggregate and Drain."""

from amaranth import Cat, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.aggregate.drain import ENTRY, Drain
from gcnloom_hw.aggregate.pe import ProcessingElement
from gcnloom_hw.arithmetic.delay import delay_line
from gcnloom_hw.layout import Shapes
from gcnloom_hw.memory.scratchpad import Scratchpad
from gcnloom_spec.config import LOCAL_BITS, AcceleratorConfig

__all__ = ["AGGREGATE_WORK", "AggregateEngine"]

AGGREGATE_WORK = data.StructLayout(
    {"drain": 1, "base": LOCAL_BITS, "count": LOCAL_BITS, "operand_base": LOCAL_BITS}
)
"""The compute fields of an Aggregate (`base`: its edge base) or a Drain (its order base)."""

STEP = data.StructLayout({"beat": 1, "entry": 1, "end": 1})
"""What was issued in a cycle: a beat of edges, a drain entry; the end of a command."""


class AggregateEngine(wiring.Component):
    """Execute Aggregate and Drain commands in order.

    Accepts a command every ``count`` plus :attr:`aggregate_overhead` or :attr:`drain_overhead`
    cycles: one beat of edges or one drain entry a cycle. Produces the drained vectors, and one
    beat without `emit` for a command that emits nothing. That beat leaves 8 cycles after the
    last edge's issue or later, when its sum is in memory. A drain waits for room at the output,
    an Aggregate only with its last beat. Sums wrap modulo ``2 ** sum_width``.

    Parameters
    ----------
    config : AcceleratorConfig

    Attributes
    ----------
    commands : In(stream.Signature(AGGREGATE_WORK))
    edge_writes, order_writes, operand_writes : In(stream.Signature(...))
        Always ready. A command that is accepted in the next cycle already sees the write.
    sums : Out(stream.Signature(Shapes.engine_sums))
    edges : Out(range(pes + 1))
        Valid edges that entered the processing elements in a cycle.
    beats, entries, active, stalled : Out(1)
        In the cycle before, a beat of edges, a drain entry, either of them was issued, or no
        room at the output forbade it.
    idle : Out(1)
        No command executes and no beat is on its way out.
    """

    aggregate_overhead = 5
    drain_overhead = 1

    commands: stream.Interface
    edge_writes: stream.Interface
    order_writes: stream.Interface
    operand_writes: stream.Interface
    sums: stream.Interface

    def __init__(self, config: AcceleratorConfig) -> None:
        self.config = config
        shapes = Shapes(config)
        super().__init__(
            {
                "commands": In(stream.Signature(AGGREGATE_WORK)),
                "edge_writes": In(stream.Signature(shapes.edge_write)),
                "order_writes": In(stream.Signature(shapes.order_write)),
                "operand_writes": In(stream.Signature(shapes.vector_write)),
                "sums": Out(stream.Signature(shapes.engine_sums)),
                "edges": Out(range(config.pes + 1)),
                "beats": Out(1),
                "entries": Out(1),
                "active": Out(1),
                "stalled": Out(1),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.drain = drain = Drain(self.config)
        address = Signal(LOCAL_BITS, reset_less=True)
        operand_base = Signal(LOCAL_BITS, reset_less=True)
        step = Signal(STEP)
        self._issue(m, drain, address, operand_base, step)

        # Steps in cycles after their issue: 2 at the elements, 5 at the drain.
        steps = delay_line(m, step, 5, name="step", reset_less=False)
        edges, order = self._fetch(m, address, steps[1])
        elements = self._elements(m, operand_base, edges, order.slot, steps[2].entry)
        select = Signal(self.config.pes, reset_less=True)
        m.d.sync += select.eq(1 << order.pe)
        entry = Signal(ENTRY)
        m.d.comb += [
            entry.valid.eq(steps[5].entry),
            entry.last.eq(delay_line(m, order.last, 3, name="row_end")[3]),
            entry.end.eq(steps[5].end),
            drain.entry.eq(entry),
            drain.select.eq(delay_line(m, select, 2, name="select")[2]),
        ]
        for pe, element in enumerate(elements):
            m.d.comb += drain.words[pe].eq(element.word)
        wiring.connect(m, inner=drain.sums, outer=wiring.flipped(self.sums))
        return m

    def _issue(self, m, drain, address, operand_base, step):
        """Control: take a command, issue its steps, let its last sums reach the memories."""
        draining, void, final, issue = Signal(), Signal(), Signal(), Signal()
        remaining = Signal(LOCAL_BITS, reset_less=True)
        work = self.commands.p
        self._report(m, drain, step, issue=issue, draining=draining, void=void, final=final)
        # The next command's first read comes at least 6 cycles after the last edge's issue: a
        # drain reads sums 3 cycles after its issue, an edge writes them 8 cycles after its own.
        settle = Signal(range(self.aggregate_overhead - 1))

        m.d.sync += self.stalled.eq(0)
        with m.FSM(name="control"):
            with m.State("Wait for command"):
                m.d.comb += self.commands.ready.eq(1)
                m.d.comb += self.idle.eq(drain.empty)
                m.d.sync += [
                    draining.eq(work.drain),
                    address.eq(work.base),
                    operand_base.eq(work.operand_base),
                    remaining.eq(work.count),
                    void.eq(work.count == 0),
                    final.eq(work.count[1:] == 0),
                    settle.eq(self.aggregate_overhead - 2),
                ]
                with m.If(self.commands.valid):
                    m.next = "Issue"
            with m.State("Issue"):
                # Only steps that may push a beat need room for it.
                m.d.comb += issue.eq(drain.available | ~(draining | final))
                m.d.sync += self.stalled.eq(~issue)
                with m.If(issue):
                    m.d.sync += [
                        address.eq(address + 1),
                        remaining.eq(remaining - 1),
                        final.eq(remaining == 2),
                    ]
                    with m.If(final & draining):
                        m.next = "Wait for command"
                    with m.Elif(final):
                        m.next = "Settle"
            with m.State("Settle"):
                m.d.sync += settle.eq(settle - 1)
                with m.If(settle == 0):
                    m.next = "Wait for command"

    def _report(self, m, drain, step, *, issue, draining, void, final):
        """Say what was issued: to the pipeline, to the drain's place keeper, to the counters."""
        m.d.comb += [
            step.beat.eq(issue & ~draining & ~void),
            step.entry.eq(issue & draining & ~void),
            step.end.eq(issue & final),
            drain.take.eq(issue & (draining | final)),
        ]
        m.d.sync += [
            self.beats.eq(step.beat),
            self.entries.eq(step.entry),
            self.active.eq(step.beat | step.entry),
        ]

    def _fetch(self, m, address, step):
        """Return the edges and the order entry that `address` named 2 cycles ago.

        The edges' `valid` survives only if `step`, 1 cycle after `address`, is a beat.
        """
        shapes = Shapes(self.config)
        beat = data.ArrayLayout(shapes.edge, self.config.pes)
        raw_edges = self._memory(
            m, "edge_memory", self.edge_writes, beat, self.config.edge_depth, address
        )
        raw_order = self._memory(
            m, "order_memory", self.order_writes, shapes.order, self.config.order_depth, address
        )
        words = Signal(beat, reset_less=True)
        order = Signal(shapes.order, reset_less=True)
        valid = Signal(self.config.pes)
        m.d.sync += [
            words.eq(raw_edges),
            order.eq(raw_order),
            valid.eq(Cat(edge.valid & step.beat for edge in raw_edges)),
            self.edges.eq(sum(valid)),
        ]
        edges = Signal(beat)
        m.d.comb += edges.eq(words)
        for pe in range(self.config.pes):
            m.d.comb += edges[pe].valid.eq(valid[pe])
        return edges, order

    def _memory(self, m, name, writes, shape, depth, address):
        """Return the word of `shape` that `address` named 1 cycle ago, filled by `writes`."""
        m.submodules[name] = memory = Scratchpad(width=shape.size, depth=depth)
        bits = len(memory.read_address)
        m.d.comb += [
            writes.ready.eq(1),
            memory.write_enable.eq(writes.valid),
            memory.write_address.eq(writes.p.address[:bits]),
            memory.write_data.eq(writes.p.data),
            memory.read_address.eq(address[:bits]),
        ]
        return data.View(shape, memory.read_data)

    def _elements(self, m, operand_base, edges, slot, peek):
        """Build the processing elements and feed them edges, drained slots and operand writes."""
        enable = Signal()
        write = Signal(Shapes(self.config).vector_write, reset_less=True)
        m.d.comb += self.operand_writes.ready.eq(1)
        m.d.sync += [enable.eq(self.operand_writes.valid), write.eq(self.operand_writes.p)]
        elements = []
        for pe in range(self.config.pes):
            m.submodules[f"pe{pe}"] = element = ProcessingElement(self.config)
            m.d.comb += [
                element.write_enable.eq(enable),
                element.write.eq(write),
                element.edge.eq(edges[pe]),
                element.operand_base.eq(operand_base[: len(element.operand_base)]),
                element.slot.eq(slot),
                element.peek.eq(peek),
            ]
            elements.append(element)
        return elements
