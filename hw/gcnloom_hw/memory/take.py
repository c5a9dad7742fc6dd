# SPDX-License-Identifier: Apache-2.0
"""Take a known number of vectors from one of the engines."""

from functools import reduce
from operator import or_

from amaranth import Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.layout import Shapes
from gcnloom_hw.streams.queue import Queue
from gcnloom_hw.streams.slices import choose, count_slices, cut
from gcnloom_spec.config import LOCAL_BITS, AcceleratorConfig
from gcnloom_spec.isa import Source

__all__ = ["Take"]


class Take(wiring.Component):
    """Hand on the next vectors of the engine that was chosen.

    One vector a cycle, or one of its slices; latency 1, or 0 in a compact accelerator.

    Parameters
    ----------
    config : AcceleratorConfig
    slices : int
        Of a vector, which has as many lanes as all of them.

    Attributes
    ----------
    begin : In(1)
        Take `count` vectors of `source`; only after the `last` of those before was taken.
    source : In(Source)
    count : In(16)
    aggregate, transform : In(stream.Signature(Shapes.sums))
        The first only if there is a sparse engine.
    vectors : Out(stream.Signature(Take.vector))
        Vectors, or their slices; the `last` of them ends the command.
    taken : Out(1)
        A vector, or a slice of one, was taken.
    """

    vectors: stream.Interface

    def __init__(self, config: AcceleratorConfig, *, slices: int = 1) -> None:
        self._slices, self._compact = slices, config.compact
        sums = Shapes(config).sums
        part = data.ArrayLayout(sums.elem_shape, sums.length // slices)
        self.sources = {Source.TRANSFORM: "transform"}
        if config.sparse:
            self.sources[Source.AGGREGATE] = "aggregate"
        self.vector = data.StructLayout({"sums": part, "last": 1})
        super().__init__(
            {
                "begin": In(1),
                "source": In(Source),
                "count": In(LOCAL_BITS),
                **{name: In(stream.Signature(sums)) for name in self.sources.values()},
                "vectors": Out(stream.Signature(self.vector)),
                "taken": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        # What is last decides much, and comes from a flip-flop.
        depth = 0 if self._compact else 2
        m.submodules.queue = queue = Queue(self.vector, depth=depth, registered=1)
        wiring.connect(m, inner=queue.o, outer=wiring.flipped(self.vectors))
        # One flip-flop a source, so that its `ready` does not wait for a comparison, and another
        # for the payload, which is wide and would draw the first over the die.
        wanted, chosen = Signal(len(Source)), Signal(len(Source), attrs={"keep": 1})
        remaining = Signal(LOCAL_BITS, reset_less=True)
        present = count_slices(m, self._slices, self.taken)
        vector_last = present[-1]
        offered = []
        for choice, name in self.sources.items():
            vectors = getattr(self, name)
            m.d.comb += vectors.ready.eq(wanted[choice] & queue.i.ready & vector_last)
            slices = cut(vectors.payload.as_value(), self._slices)
            offered.append(choose(slices, present & chosen[choice].replicate(len(present))))
            with m.If(wanted[choice]):
                m.d.comb += queue.i.valid.eq(vectors.valid)
        m.d.comb += [
            queue.i.p.sums.eq(reduce(or_, offered)),
            queue.i.p.last.eq((remaining == 1) & vector_last),
            self.taken.eq(queue.i.valid & queue.i.ready),
        ]
        with m.If(self.begin):
            m.d.sync += remaining.eq(self.count)
            m.d.sync += [
                each.eq(Mux(self.count != 0, Const(1, len(Source)) << self.source, 0))
                for each in (wanted, chosen)
            ]
        with m.Elif(self.taken & vector_last):
            m.d.sync += remaining.eq(remaining - 1)
            with m.If(queue.i.p.last):
                m.d.sync += [wanted.eq(0), chosen.eq(0)]
        return m
