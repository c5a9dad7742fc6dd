# SPDX-License-Identifier: Apache-2.0
"""Random bytes of every element of an emission, drawn ahead of the sums that need them."""

from math import gcd

from amaranth import Cat, Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.arithmetic.delay import delay_line
from gcnloom_hw.arithmetic.threefry import PAIR, Threefry
from gcnloom_hw.streams.queue import CreditedQueue, Queue
from gcnloom_hw.streams.slices import count_slices
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import EMISSION
from gcnloom_spec.random import BLOCK_FEATURES, DROPOUT, ROUNDING

__all__ = ["REQUEST", "Places", "RandomBytes", "RandomVectors", "blocks_for", "random_vector"]

REQUEST = data.StructLayout(
    {name: unsigned(EMISSION[name]) for name in ("vectors", "tensor", "row", "feature")}
)
"""Where an emission's elements lie, and how many vectors of them there are."""


def random_vector(lanes: int) -> data.StructLayout:
    """Shape of a byte of each purpose for every lane."""
    octets = data.ArrayLayout(8, lanes)
    return data.StructLayout({"dropout": octets, "rounding": octets})


def blocks_for(lanes: int) -> int:
    """Random blocks that hold any vector whose first feature is a multiple of `lanes`."""
    largest_offset = BLOCK_FEATURES - gcd(lanes, BLOCK_FEATURES)
    return -(-(largest_offset + lanes) // BLOCK_FEATURES)


class RandomVectors(wiring.Component):
    """Draw the bytes of a vector, or a slice, for one purpose, one a cycle.

    They leave :attr:`latency` cycles later; there is no valid bit: the caller counts.

    Parameters
    ----------
    lanes : int

    Attributes
    ----------
    key : In(PAIR)
        Seed and step; constant from two cycles before the first vector.
    place : In(REQUEST)
        Where it lies; its `vectors` is not looked at.
    purpose : In(1)
    octets : Out(data.ArrayLayout(8, lanes))
    """

    latency = Threefry.latency + 1

    key: data.View
    place: data.View
    octets: data.View

    def __init__(self, lanes: int) -> None:
        self._lanes = lanes
        super().__init__(
            {
                "key": In(PAIR),
                "place": In(REQUEST),
                "purpose": In(1),
                "octets": Out(data.ArrayLayout(8, lanes)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        feature = self.place.feature
        blocks = []
        for index in range(blocks_for(self._lanes)):
            m.submodules[f"cipher{index}"] = cipher = Threefry()
            block = Signal(16, name=f"block{index}")
            tensor = Signal(15, name=f"tensor{index}")
            m.d.comb += [
                block.eq(feature // BLOCK_FEATURES + index),
                tensor.eq(self.place.tensor),
                cipher.key.eq(self.key),
                cipher.counter[0].eq(self.place.row),
                cipher.counter[1].eq(Cat(block, tensor, self.purpose)),
            ]
            blocks.append(cipher.block)
        offsets = delay_line(m, feature % BLOCK_FEATURES, Threefry.latency, name="offset")
        octets = Signal.like(self.octets, name="selected", reset_less=True)
        selected = self._select(Cat(words.as_value() for words in blocks), offsets[-1])
        m.d.sync += octets.eq(selected)
        m.d.comb += self.octets.eq(octets)
        return m

    def _select(self, octets, offset):
        """Drop the bytes of features before the first; offsets are multiples of `step` bytes."""
        step = gcd(self._lanes, BLOCK_FEATURES)
        for level in range(BLOCK_FEATURES.bit_length() - 1):
            if 1 << level >= step:
                octets = Mux(offset[level], octets.shift_right(8 << level), octets)
        return octets


class Places(wiring.Component):
    """Go through the vectors of one request after the other, slice by slice.

    Parameters
    ----------
    shape : data.StructLayout
        Of a request: the members of :data:`REQUEST`, and perhaps more.
    slices, lanes : int
        Of a vector, and of a slice.

    Attributes
    ----------
    requests : In(stream.Signature(shape))
        `vectors` is above zero.
    advance : In(1)
        The slice that is shown is done with; only while there is one.
    valid : Out(1)
    place : Out(shape)
        Where the slice in turn lies, if `valid`; its `vectors` counts those still to come.
    """

    requests: stream.Interface
    place: data.View

    def __init__(self, shape, *, slices: int = 1, lanes: int = 0) -> None:
        self._slices, self._lanes = slices, lanes
        super().__init__(
            {
                "requests": In(stream.Signature(shape)),
                "advance": In(1),
                "valid": Out(1),
                "place": Out(shape),
            }
        )

    def elaborate(self, platform):
        m = Module()
        running, request = Signal(), Signal.like(self.place, name="request", reset_less=True)
        last = count_slices(m, self._slices, self.advance)[-1]
        m.d.comb += [
            self.requests.ready.eq(~running),
            self.valid.eq(running),
            self.place.eq(request),
        ]
        with m.If(~running):
            m.d.sync += [running.eq(self.requests.valid), request.eq(self.requests.payload)]
        with m.Elif(self.advance & last):
            m.d.sync += [
                running.eq(request.vectors != 1),
                request.vectors.eq(request.vectors - 1),
                request.row.eq(request.row + 1),
                request.feature.eq(request.feature - (self._slices - 1) * self._lanes),
            ]
        with m.Elif(self.advance):
            m.d.sync += request.feature.eq(request.feature + self._lanes)
        return m


class RandomBytes(wiring.Component):
    """Draw bytes for both purposes for each element of an emission, row after row.

    Accepts a request, then issues one vector a cycle while the queue has room; a vector's bytes
    leave :attr:`latency` cycles after its issue at the earliest. Order is that of the requests.
    The feature of a request is a multiple of `lanes`.

    Parameters
    ----------
    config : AcceleratorConfig

    Attributes
    ----------
    key : In(PAIR)
        Seed and step; constant from two cycles before a request until its last vector.
    requests : In(stream.Signature(REQUEST))
        `vectors` is above zero.
    vectors : Out(stream.Signature(random_vector(config.lanes)))
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
                "requests": In(stream.Signature(REQUEST)),
                "vectors": Out(stream.Signature(random_vector(config.lanes))),
            }
        )

    def elaborate(self, platform):
        m = Module()
        shape = random_vector(self.config.lanes)
        m.submodules.queue = queue = CreditedQueue(shape, depth=self.pipeline + 4)
        m.submodules.places = places = Places(REQUEST)
        wiring.connect(m, outer=wiring.flipped(self.requests), inner=places.requests)
        wiring.connect(m, inner=queue.o, outer=wiring.flipped(self.vectors))
        issue = Signal()
        issued = delay_line(m, issue, self.pipeline, name="issued", reset_less=False)[-1]
        m.d.comb += [
            issue.eq(places.valid & queue.available),
            places.advance.eq(issue),
            queue.take.eq(issue),
            queue.i.valid.eq(issued),
        ]
        for name, purpose in (("dropout", DROPOUT), ("rounding", ROUNDING)):
            m.submodules[name] = vectors = RandomVectors(self.config.lanes)
            m.d.comb += [
                vectors.key.eq(self.key),
                *(vectors.place[field].eq(places.place[field]) for field in REQUEST.members),
                vectors.purpose.eq(purpose),
                queue.i.payload[name].eq(vectors.octets),
            ]
        return m
