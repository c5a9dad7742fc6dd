# SPDX-License-Identifier: Apache-2.0
"""Random bytes from one generator, for whichever purpose they are needed."""

from amaranth import Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.arithmetic.delay import delay_line
from gcnloom_hw.arithmetic.threefry import PAIR
from gcnloom_hw.epilogue.random_bytes import REQUEST, Places, RandomVectors, random_vector
from gcnloom_hw.streams.queue import CreditedQueue, Queue
from gcnloom_spec.random import DROPOUT, ROUNDING

__all__ = ["PURPOSES", "PURPOSES_REQUEST", "RandomBytesInTurn"]

PURPOSES_REQUEST = data.StructLayout({**REQUEST.members, "dropout": 1, "rounding": 1})
"""A request with what its bytes are for, one purpose at least."""
PURPOSES = 2


class RandomBytesInTurn(wiring.Component):
    """Draw the bytes that a request needs, row after row.

    Like :class:`~gcnloom_hw.epilogue.random_bytes.RandomBytes` with half of its logic, or
    less where slices are worked on: a slice takes a cycle for each purpose of its request. No
    emission of a training has two; a step has both always.

    Parameters
    ----------
    lanes, slices : int
        Of a slice, and of a vector.
    both : bool
        Requests do not say what for: they are for both purposes.

    Attributes
    ----------
    key : In(PAIR)
        Seed and step; constant from two cycles before a request until its last vector.
    requests : In(stream.Signature(PURPOSES_REQUEST)), or of REQUEST with `both`
        `vectors` is above zero.
    vectors : Out(stream.Signature(random_vector(lanes)))
        Of slice after slice. Bytes for a purpose that the request has not may be anything.
    """

    pipeline = RandomVectors.latency
    latency = pipeline + Queue.latency

    key: data.View
    requests: stream.Interface
    vectors: stream.Interface

    def __init__(self, *, lanes: int, slices: int, both: bool = False) -> None:
        self._lanes, self._slices, self._both = lanes, slices, both
        self._request = REQUEST if both else PURPOSES_REQUEST
        super().__init__(
            {
                "key": In(PAIR),
                "requests": In(stream.Signature(self._request)),
                "vectors": Out(stream.Signature(random_vector(lanes))),
            }
        )

    def elaborate(self, platform):
        m = Module()
        each = PURPOSES if self._both else 1
        m.submodules.queue = queue = CreditedQueue(
            random_vector(self._lanes), depth=self.pipeline // each + 4
        )
        m.submodules.places = places = Places(self._request, slices=self._slices, lanes=self._lanes)
        m.submodules.draws = draws = RandomVectors(self._lanes)
        wiring.connect(m, outer=wiring.flipped(self.requests), inner=places.requests)
        wiring.connect(m, inner=queue.o, outer=wiring.flipped(self.vectors))

        # With two purposes, dropout is drawn first, and waits for rounding.
        place, second = places.place, Signal()
        dropout = Const(1) if self._both else place.dropout
        both = Const(1) if self._both else place.dropout & place.rounding
        issue, ends, begins = Signal(), Signal(), Signal()
        m.d.comb += [
            # Room for both is there with the first, so that the second asks nobody.
            begins.eq(places.valid & queue.available),
            issue.eq(begins | second),
            ends.eq((begins & ~both) | second),
            places.advance.eq(ends),
            queue.take.eq(ends),
            draws.key.eq(self.key),
            *(draws.place[field].eq(place[field]) for field in REQUEST.members),
            draws.purpose.eq(Mux(dropout & ~second, DROPOUT, ROUNDING)),
        ]
        m.d.sync += second.eq(begins & both & ~second)

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
