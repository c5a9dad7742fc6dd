# SPDX-License-Identifier: Apache-2.0
"""Random bytes of an emission from one generator, for whichever purpose it needs them."""

from amaranth import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.arithmetic.delay import delay_line
from gcnloom_hw.arithmetic.threefry import PAIR
from gcnloom_hw.epilogue.random_bytes import REQUEST, Places, RandomVectors, random_vector
from gcnloom_hw.streams.queue import CreditedQueue, Queue
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.random import DROPOUT, ROUNDING

__all__ = ["PURPOSES_REQUEST", "RandomBytesInTurn"]

PURPOSES_REQUEST = data.StructLayout({**REQUEST.members, "dropout": 1, "rounding": 1})
"""A request with what its bytes are for, one purpose at least."""


class RandomBytesInTurn(wiring.Component):
    """Draw the bytes that an emission needs, row after row.

    Like :class:`~gcnloom_hw.epilogue.random_bytes.RandomBytes` with half of its logic, or
    less where the epilogue works on slices: a slice takes a cycle for each purpose of its request.
    No emission of a training has two.

    Parameters
    ----------
    config : AcceleratorConfig

    Attributes
    ----------
    key : In(PAIR)
        Seed and step; constant from two cycles before a request until its last vector.
    requests : In(stream.Signature(PURPOSES_REQUEST))
        `vectors` is above zero.
    vectors : Out(stream.Signature(random_vector(config.epilogue_width)))
        Of slice after slice. Bytes for a purpose that the request has not may be anything.
    """

    pipeline = RandomVectors.latency
    latency = pipeline + Queue.latency

    key: data.View
    requests: stream.Interface
    vectors: stream.Interface

    def __init__(self, config: AcceleratorConfig) -> None:
        self.config = config
        super().__init__(
            {
                "key": In(PAIR),
                "requests": In(stream.Signature(PURPOSES_REQUEST)),
                "vectors": Out(stream.Signature(random_vector(config.epilogue_width))),
            }
        )

    def elaborate(self, platform):
        m = Module()
        lanes, slices = self.config.epilogue_width, self.config.epilogue_slices
        shape = random_vector(lanes)
        m.submodules.queue = queue = CreditedQueue(shape, depth=self.pipeline + 4)
        m.submodules.places = places = Places(PURPOSES_REQUEST, slices=slices, lanes=lanes)
        m.submodules.draws = draws = RandomVectors(lanes)
        wiring.connect(m, outer=wiring.flipped(self.requests), inner=places.requests)
        wiring.connect(m, inner=queue.o, outer=wiring.flipped(self.vectors))

        # With two purposes, dropout is drawn first, and waits for rounding.
        place, second = places.place, Signal()
        both = place.dropout & place.rounding
        issue, ends = Signal(), Signal()
        m.d.comb += [
            issue.eq(places.valid & queue.available),
            ends.eq(issue & (second | ~both)),
            places.advance.eq(ends),
            queue.take.eq(ends),
            draws.key.eq(self.key),
            *(draws.place[field].eq(place[field]) for field in REQUEST.members),
            draws.purpose.eq(Mux(place.dropout & ~second, DROPOUT, ROUNDING)),
        ]
        with m.If(issue):
            m.d.sync += second.eq(both & ~second)

        first = delay_line(m, issue & ~ends, self.pipeline, name="first", reset_less=False)[-1]
        ended = delay_line(m, ends, self.pipeline, name="ended", reset_less=False)[-1]
        held = Signal.like(draws.octets, name="held", reset_less=True)
        holds = Signal()
        with m.If(first):
            m.d.sync += [held.eq(draws.octets), holds.eq(1)]
        with m.Elif(ended):
            m.d.sync += holds.eq(0)
        m.d.comb += [
            queue.i.valid.eq(ended),
            queue.i.p.dropout.eq(Mux(holds, held, draws.octets)),
            queue.i.p.rounding.eq(draws.octets),
        ]
        return m
