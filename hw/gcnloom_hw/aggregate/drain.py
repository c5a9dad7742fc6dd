# SPDX-License-Identifier: Apache-2.0
"""The way out of the sparse engine: pick accumulator rows, add the parts of a row, queue."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.arithmetic.delay import delay_line
from gcnloom_hw.layout import Shapes
from gcnloom_hw.streams.queue import Queue
from gcnloom_spec.config import AcceleratorConfig

__all__ = ["ENTRY", "Drain"]

ENTRY = data.StructLayout({"valid": 1, "last": 1, "end": 1})
"""An entry on its way out: `valid`: add a part; `last`: of its row; `end`: of its command."""


class Drain(wiring.Component):
    """Add the selected words up to `last`, and queue one vector of sums for each row.

    Accepts one entry a cycle. Whoever starts an entry does so while `available` is high and
    raises `take`; entries that end no row give their place back. A vector leaves 3 cycles after
    the last of its parts, or later. Sums wrap modulo ``2 ** sum_width``.

    Parameters
    ----------
    config : AcceleratorConfig

    Attributes
    ----------
    take : In(1)
        An entry starts that will arrive with `valid` or `end` set.
    available : Out(1)
    empty : Out(1)
        Every entry that started has left.
    entry : In(ENTRY)
        Without `valid` an `end` queues a beat that only says so.
    select : In(pes)
        One-hot: whose word the entry adds.
    words : In(data.ArrayLayout(Shapes.sums, pes))
    sums : Out(stream.Signature(Shapes.engine_sums))
    """

    depth = 16
    """Beats queued or on their way: more than the 10 cycles a place is occupied at least."""

    sums: stream.Interface

    def __init__(self, config: AcceleratorConfig) -> None:
        self.config = config
        shapes = Shapes(config)
        super().__init__(
            {
                "take": In(1),
                "available": Out(1),
                "empty": Out(1),
                "entry": In(ENTRY),
                "select": In(config.pes),
                "words": In(data.ArrayLayout(shapes.sums, config.pes)),
                "sums": Out(stream.Signature(shapes.engine_sums)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        shapes = Shapes(self.config)
        entry = delay_line(m, self.entry, 1, name="entry", reset_less=False)[1]
        word = Signal(shapes.sums, reset_less=True)
        gated = [
            Mux(self.select[pe], self.words[pe].as_value(), 0) for pe in range(self.config.pes)
        ]
        m.d.sync += word.as_value().eq(
            Cat(Cat(part[bit] for part in gated).any() for bit in range(len(word.as_value())))
        )

        # `total` restarts by the registers' reset, not by a gate in the adder's carry chain; by a
        # flip-flop of its own, as it is wide.
        total = Signal(shapes.sums, reset_less=True)
        restart = Signal(init=1)
        beat = Signal(shapes.engine_sums, reset_less=True)
        push = Signal()
        pushed = Signal()
        m.d.comb += push.eq((entry.valid & entry.last) | entry.end)
        m.d.sync += restart.eq((self.entry.valid & self.entry.last) | self.entry.end)
        for lane in range(self.config.lanes):
            m.d.sync += beat.sums[lane].eq(total[lane] + word[lane])
            with m.If(restart):
                m.d.sync += total[lane].eq(0)
            with m.Elif(entry.valid):
                m.d.sync += total[lane].eq(total[lane] + word[lane])
        m.d.sync += [
            beat.emit.eq(entry.valid & entry.last),
            beat.last.eq(entry.end),
            pushed.eq(push),
        ]

        m.submodules.queue = queue = Queue(shapes.engine_sums, depth=self.depth)
        m.d.comb += [queue.i.valid.eq(pushed), queue.i.payload.eq(beat)]
        wiring.connect(m, inner=queue.o, outer=wiring.flipped(self.sums))
        self._count_places(m, returned=entry.valid & ~push)
        return m

    def _count_places(self, m, *, returned):
        """Keep `places`, the entries that may still start."""
        places = Signal(range(self.depth + 1), init=self.depth)
        released = Signal()
        m.d.comb += [
            released.eq(self.sums.valid & self.sums.ready),
            self.available.eq(places != 0),
            self.empty.eq(places == self.depth),
        ]
        m.d.sync += places.eq(places - self.take + released + returned)
