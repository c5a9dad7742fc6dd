# SPDX-License-Identifier: Apache-2.0
"""The way out of the sparse engine, first half: which element's word is asked for when."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.aggregate.pe import ProcessingElement
from gcnloom_hw.arithmetic.delay import delay_line
from gcnloom_hw.layout import Shapes, layout
from gcnloom_hw.memory.grouped import GroupedMemory
from gcnloom_hw.streams.queue import CreditedQueue, Queue
from gcnloom_spec.config import LOCAL_BITS, AcceleratorConfig
from gcnloom_spec.isa import WORDS, Opcode
from gcnloom_spec.words import Word

__all__ = ["DRAIN_WORK", "DrainControl", "part"]

DRAIN_WORK = layout(
    Word(
        "drain work",
        {name: WORDS[Opcode.DRAIN].fields[name] for name in ("order_base", "count", "slot_base")},
    )
)
"""The fields of a drain command that the engine computes with."""


def part(config: AcceleratorConfig) -> data.StructLayout:
    """Layout of one entry on its way: whose word to add (one-hot), to which row's end.

    `valid`: a word is added; `last`: of its row; `end`: of its command.
    """
    return data.StructLayout({"select": config.pes, "valid": 1, "last": 1, "end": 1})


class DrainControl(wiring.Component):
    """Read the drain order, ask the elements for their words, say in which order they come.

    Asks for one word a cycle while the element that has it, and the list of what was asked for,
    have room. A command may follow the one before it without a pause.

    Parameters
    ----------
    config : AcceleratorConfig

    Attributes
    ----------
    commands : In(stream.Signature(DRAIN_WORK))
    order_writes : In(stream.Signature(Shapes.order_write))
        Always ready. A command that is accepted in the next cycle already sees the write.
    asks : Out(pes)
        The element that is asked for the word in `slot`, one-hot.
    slot : Out(range(accumulator_depth))
    taken : In(pes)
        The element whose word was taken, one-hot.
    parts : Out(stream.Signature(part(config)))
        What was asked for, in order.
    entries, stalled, idle : Out(1)
    """

    ahead = 8
    """Entries that have been read, or are being read."""
    outstanding = 64
    """Words asked for and not taken: enough for several of each element."""

    commands: stream.Interface
    order_writes: stream.Interface
    parts: stream.Interface

    def __init__(self, config: AcceleratorConfig) -> None:
        self.config = config
        shapes = Shapes(config)
        super().__init__(
            {
                "commands": In(stream.Signature(DRAIN_WORK)),
                "order_writes": In(stream.Signature(shapes.order_write)),
                "asks": Out(config.pes),
                "slot": Out(range(max(2, config.accumulator_depth))),
                "taken": In(config.pes),
                "parts": Out(stream.Signature(part(config))),
                "entries": Out(1),
                "stalled": Out(1),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        entry = data.StructLayout({"part": part(self.config), "slot": self.slot.shape()})
        m.submodules.ahead = ahead = CreditedQueue(entry, depth=self.ahead)
        # Which element is next decides at once whether its word is taken.
        m.submodules.pending = pending = Queue(
            part(self.config), depth=self.outstanding, registered=part(self.config).size
        )
        wiring.connect(m, inner=pending.o, outer=wiring.flipped(self.parts))
        running = self._read(m, ahead)

        head = ahead.o.p
        go = Signal()
        m.d.comb += [
            go.eq(ahead.o.valid & ((head.part.select & self._open(m)).any() | ~head.part.valid)),
            pending.i.valid.eq(go),
            pending.i.payload.eq(head.part),
            ahead.o.ready.eq(go & pending.i.ready),
        ]
        asked = Signal()
        m.d.comb += asked.eq(ahead.o.ready & head.part.valid)
        m.d.sync += [
            self.asks.eq(Mux(asked, head.part.select, 0)),
            self.slot.eq(head.slot),
            self.entries.eq(asked),
            self.stalled.eq(ahead.o.valid & ~ahead.o.ready),
        ]
        m.d.comb += self.idle.eq(~running & ahead.empty & ~pending.o.valid)
        return m

    def _read(self, m, ahead):
        """Present one address a cycle to the order memory; queue what it names."""
        config = self.config
        shapes = Shapes(config)
        m.submodules.order = memory = GroupedMemory(
            width=shapes.order.size, depth=config.order_depth, group=config.order_group
        )
        memory.connect(m, self.order_writes)
        running, final, void = Signal(), Signal(), Signal()
        address = Signal(LOCAL_BITS, reset_less=True)
        slot_base = Signal(LOCAL_BITS, reset_less=True)
        remaining = Signal(LOCAL_BITS, reset_less=True)
        issue = Signal()
        work = self.commands.p
        m.d.comb += [
            issue.eq(running & ahead.available),
            ahead.take.eq(issue),
            self.commands.ready.eq(~running | (issue & final)),
            memory.read_address.eq(address[: len(memory.read_address)]),
        ]
        with m.If(issue):
            m.d.sync += [
                address.eq(address + 1),
                remaining.eq(remaining - 1),
                final.eq(remaining == 2),
                running.eq(~final),
            ]
        with m.If(self.commands.valid & self.commands.ready):
            m.d.sync += [
                running.eq(1),
                address.eq(work.order_base),
                slot_base.eq(work.slot_base),
                remaining.eq(work.count),
                final.eq(work.count[1:] == 0),
                void.eq(work.count == 0),
            ]

        # One cycle after its issue the entry is read, two after it is complete.
        kind = data.StructLayout({"issued": 1, "valid": 1, "end": 1})
        step = Signal(kind)
        m.d.comb += [step.issued.eq(issue), step.valid.eq(~void), step.end.eq(final)]
        steps = delay_line(m, step, 2, name="step", reset_less=False)
        base = delay_line(m, slot_base, 2, name="base")[2]
        order = data.View(shapes.order, memory.read_data)
        entry = Signal(ahead.i.payload.shape(), reset_less=True)
        complete = Signal.like(entry)
        m.d.sync += [
            entry.part.select.eq(1 << order.pe),
            entry.part.valid.eq(steps[1].valid),
            entry.part.last.eq(order.last),
            entry.part.end.eq(steps[1].end),
            entry.slot.eq(order.slot),
        ]
        m.d.comb += [
            complete.eq(entry),
            # Block RAM answers late: nothing is added to what it says before it is in a register.
            complete.slot.eq(base + entry.slot),
            ahead.i.valid.eq(steps[2].issued),
            ahead.i.payload.eq(complete),
        ]
        return running

    def _open(self, m):
        """Say which elements have room for another word."""
        room = []
        for pe in range(self.config.pes):
            places = Signal(
                range(ProcessingElement.depth + 1), init=ProcessingElement.depth, name=f"places{pe}"
            )
            free = Signal(name=f"free{pe}", init=1)
            asked = Signal(name=f"asked{pe}")
            m.d.comb += asked.eq(self.asks[pe])
            with m.If(asked & ~self.taken[pe]):
                m.d.sync += places.eq(places - 1)
            with m.Elif(self.taken[pe] & ~asked):
                m.d.sync += places.eq(places + 1)
            # Two asks may be under way that `places` does not know of.
            m.d.sync += free.eq(places > 2)
            room.append(free)
        return Cat(room)
