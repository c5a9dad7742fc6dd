# SPDX-License-Identifier: Apache-2.0
"""Dropout and rounding bytes of an emission, drawn ahead of the sums that need them."""

from math import gcd

from amaranth import Cat, Const, Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.arithmetic.delay import delay_line
from gcnloom_hw.arithmetic.threefry import PAIR, Threefry
from gcnloom_hw.streams.queue import CreditedQueue, Queue
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import EMISSION
from gcnloom_spec.random import BLOCK_FEATURES, DROPOUT, ROUNDING

__all__ = ["REQUEST", "RandomBytes", "blocks_for", "random_vector"]

REQUEST = data.StructLayout(
    {name: unsigned(EMISSION[name]) for name in ("vectors", "tensor", "row", "feature")}
)
"""Where an emission's elements lie, and how many vectors of them there are."""


def random_vector(config: AcceleratorConfig) -> data.StructLayout:
    """Shape of a byte of each purpose for every lane."""
    octets = data.ArrayLayout(8, config.lanes)
    return data.StructLayout({"dropout": octets, "rounding": octets})


def blocks_for(lanes: int) -> int:
    """Random blocks that hold any vector whose first feature is a multiple of `lanes`."""
    largest_offset = BLOCK_FEATURES - gcd(lanes, BLOCK_FEATURES)
    return -(-(largest_offset + lanes) // BLOCK_FEATURES)


class RandomBytes(wiring.Component):
    """Draw the bytes of each element of an emission, row after row.

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
    vectors : Out(stream.Signature(random_vector(config)))
    """

    pipeline = Threefry.latency + 1
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
                "vectors": Out(stream.Signature(random_vector(config))),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.queue = queue = CreditedQueue(
            random_vector(self.config), depth=self.pipeline + 4
        )
        wiring.connect(m, inner=queue.o, outer=wiring.flipped(self.vectors))

        request = Signal(REQUEST, reset_less=True)
        running = Signal()
        issue = Signal()
        m.d.comb += [
            self.requests.ready.eq(~running),
            issue.eq(running & queue.available),
            queue.take.eq(issue),
        ]
        with m.If(~running):
            m.d.sync += [running.eq(self.requests.valid), request.eq(self.requests.payload)]
        with m.Elif(issue):
            m.d.sync += [
                running.eq(request.vectors != 1),
                request.vectors.eq(request.vectors - 1),
                request.row.eq(request.row + 1),
            ]

        issued = delay_line(m, issue, self.pipeline, name="issued", reset_less=False)[-1]
        m.d.comb += queue.i.valid.eq(issued)
        offsets = delay_line(m, request.feature % BLOCK_FEATURES, Threefry.latency, name="offset")
        for name, purpose in (("dropout", DROPOUT), ("rounding", ROUNDING)):
            octets = self._draw(m, name, purpose, request)
            m.d.sync += queue.i.payload[name].eq(self._select(octets, offsets[-1]))
        return m

    def _draw(self, m, name, purpose, request):
        """Bytes of the blocks that the vector lies in."""
        first = request.feature // BLOCK_FEATURES
        blocks = []
        for index in range(blocks_for(self.config.lanes)):
            cipher = Threefry()
            m.submodules[f"{name}{index}"] = cipher
            block = Signal(16, name=f"{name}_block{index}")
            tensor = Signal(15, name=f"{name}_tensor{index}")
            m.d.comb += [
                block.eq(first + index),
                tensor.eq(request.tensor),
                cipher.key.eq(self.key),
                cipher.counter[0].eq(request.row),
                cipher.counter[1].eq(Cat(block, tensor, Const(purpose, 1))),
            ]
            blocks.append(cipher.block)
        return Cat(words.as_value() for words in blocks)

    def _select(self, octets, offset):
        """Drop the bytes of features before the first; offsets are multiples of `step` bytes."""
        step = gcd(self.config.lanes, BLOCK_FEATURES)
        for level in range(BLOCK_FEATURES.bit_length() - 1):
            if 1 << level >= step:
                octets = Mux(offset[level], octets.shift_right(8 << level), octets)
        return octets
