# SPDX-License-Identifier: Apache-2.0
"""The way out of the sparse engine, second half: take words in order, add the parts of a row."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.aggregate.drain import part
from gcnloom_hw.arithmetic.delay import delay_line
from gcnloom_hw.layout import Shapes
from gcnloom_hw.streams.queue import CreditedQueue
from gcnloom_spec.config import AcceleratorConfig

__all__ = ["Collector"]


class Collector(wiring.Component):
    """Take the words that were asked for, add them up to `last`, queue a vector for each row.

    One word a cycle. A vector leaves :attr:`latency` cycles after the last of its parts was
    taken, or later. Sums wrap modulo ``2 ** sum_width``.

    Parameters
    ----------
    config : AcceleratorConfig

    Attributes
    ----------
    parts : In(stream.Signature(part(config)))
        Without `valid` an `end` queues a beat that only says so.
    present : In(pes)
        Which elements have a word to take.
    words : In(data.ArrayLayout(Shapes.sums, pes))
    taken : Out(pes)
        Whose word is taken in this cycle, one-hot.
    sums : Out(stream.Signature(Shapes.engine_sums))
    empty : Out(1)
        Every row whose last word was taken has left.
    """

    depth = 16
    latency = 4

    parts: stream.Interface
    sums: stream.Interface

    def __init__(self, config: AcceleratorConfig) -> None:
        self.config = config
        shapes = Shapes(config)
        super().__init__(
            {
                "parts": In(stream.Signature(part(config))),
                "present": In(config.pes),
                "words": In(data.ArrayLayout(shapes.sums, config.pes)),
                "taken": Out(config.pes),
                "sums": Out(stream.Signature(shapes.engine_sums)),
                "empty": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        shapes = Shapes(self.config)
        m.submodules.queue = queue = CreditedQueue(shapes.engine_sums, depth=self.depth)
        wiring.connect(m, inner=queue.o, outer=wiring.flipped(self.sums))
        head = self.parts.p
        take = Signal()
        m.d.comb += [
            take.eq(
                self.parts.valid
                & queue.available
                & ((head.select & self.present).any() | ~head.valid)
            ),
            self.parts.ready.eq(take),
            self.taken.eq(Mux(take & head.valid, head.select, 0)),
            queue.take.eq(take & (head.last | head.end)),
            self.empty.eq(queue.empty),
        ]
        flags = data.StructLayout({"valid": 1, "last": 1, "end": 1})
        entry = Signal(flags)
        m.d.comb += [
            entry.valid.eq(take & head.valid),
            entry.last.eq(take & head.valid & head.last),
            entry.end.eq(take & head.end),
        ]
        word, entries = self._select(m, entry)
        self._add(m, word, entries, queue)
        return m

    def _select(self, m, entry):
        """Return the word that was taken, 2 cycles later, and the entry from then on."""
        shapes = Shapes(self.config)
        entries = delay_line(m, entry, 2, name="entry", reset_less=False)
        select = Signal(self.config.pes, reset_less=True)
        m.d.sync += select.eq(self.taken)
        held = []
        for pe in range(self.config.pes):
            own = Signal(shapes.sums, name=f"held{pe}", reset_less=True)
            m.d.sync += own.eq(self.words[pe])
            held.append(Mux(select[pe], own.as_value(), 0))
        word = Signal(shapes.sums, reset_less=True)
        m.d.sync += word.as_value().eq(
            Cat(Cat(bits[bit] for bits in held).any() for bit in range(len(word.as_value())))
        )
        return word, entries

    def _add(self, m, word, entries, queue):
        # `total` restarts by the registers' reset, not by a gate in the adder's carry chain; by a
        # flip-flop of its own, as it is wide.
        coming, entry = entries[1], entries[2]
        total = Signal(Shapes(self.config).sums, reset_less=True)
        restart = Signal(init=1)
        beat = Signal(queue.i.payload.shape(), reset_less=True)
        pushed = Signal()
        m.d.sync += restart.eq(coming.last | coming.end)
        for lane in range(self.config.lanes):
            m.d.sync += beat.sums[lane].eq(total[lane] + word[lane])
            with m.If(restart):
                m.d.sync += total[lane].eq(0)
            with m.Elif(entry.valid):
                m.d.sync += total[lane].eq(total[lane] + word[lane])
        m.d.sync += [
            beat.emit.eq(entry.last),
            beat.last.eq(entry.end),
            pushed.eq(entry.last | entry.end),
        ]
        m.d.comb += [queue.i.valid.eq(pushed), queue.i.payload.eq(beat)]
