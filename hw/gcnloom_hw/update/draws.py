# SPDX-License-Identifier: Apache-2.0
"""Random bytes of weights that are stepped slice by slice, from as few generators as will do."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.arithmetic.delay import delay_line
from gcnloom_hw.arithmetic.threefry import PAIR, Threefry
from gcnloom_hw.epilogue.random_bytes import REQUEST, RandomBytes
from gcnloom_hw.streams.queue import CreditedQueue, Queue
from gcnloom_hw.streams.slices import count_slices
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.random import BLOCK_FEATURES

__all__ = ["SliceBytes", "draw_cycles", "draw_latency", "draws", "random_slice"]

PURPOSES = 2


def random_slice(config: AcceleratorConfig) -> data.StructLayout:
    """Shape of a byte of each purpose for every lane of a slice."""
    octets = data.ArrayLayout(8, config.update_width)
    return data.StructLayout({"dropout": octets, "rounding": octets})


class SliceBytes(wiring.Component):
    """Draw the bytes of vectors as :class:`~gcnloom_hw.epilogue.random_bytes.RandomBytes` does.

    The bytes of both purposes come from the same generators one after the other: a slice takes
    two cycles. Its bytes leave :attr:`latency` cycles after the first of them at the earliest.

    Parameters
    ----------
    config : AcceleratorConfig
        With several slices a vector.

    Attributes
    ----------
    key : In(PAIR)
        Seed and step; constant from two cycles before a request until its last vector.
    requests : In(stream.Signature(REQUEST))
        `vectors` is above zero, `feature` a multiple of `lanes`.
    vectors : Out(stream.Signature(random_slice(config)))
        Slices of vectors.
    """

    pipeline = Threefry.latency + PURPOSES
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
                "vectors": Out(stream.Signature(random_slice(config))),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.queue = queue = CreditedQueue(
            random_slice(self.config), depth=self.pipeline // PURPOSES + 4
        )
        wiring.connect(m, inner=queue.o, outer=wiring.flipped(self.vectors))
        request = Signal(REQUEST, reset_less=True)
        feature = Signal.like(request.feature, reset_less=True)
        purpose, issue, running = Signal(), Signal(), Signal()
        m.d.comb += [
            issue.eq(running & (purpose | queue.available)),
            queue.take.eq(issue & ~purpose),
        ]
        self._walk(m, request, feature, running, issue & purpose)
        with m.If(issue):
            m.d.sync += purpose.eq(~purpose)

        octets = self._draw(m, request, feature, purpose)
        drawn = delay_line(m, octets, PURPOSES, name="drawn")
        done = issue & purpose
        valid = delay_line(m, done, Threefry.latency + 1, name="done", reset_less=False)[-1]
        m.d.comb += [
            queue.i.valid.eq(valid),
            queue.i.p.dropout.eq(drawn[2]),
            queue.i.p.rounding.eq(drawn[1]),
        ]
        return m

    def _walk(self, m, request, feature, running, done):
        """Go over the slices of a request, vector by vector."""
        lanes = self.config.update_width
        vector_last = count_slices(m, self.config.update_slices, done)[-1]
        m.d.comb += self.requests.ready.eq(~running)
        with m.If(~running):
            m.d.sync += [
                running.eq(self.requests.valid),
                request.eq(self.requests.payload),
                feature.eq(self.requests.p.feature),
            ]
        with m.Elif(done):
            m.d.sync += feature.eq(Mux(vector_last, request.feature, feature + lanes))
            with m.If(vector_last):
                m.d.sync += [
                    running.eq(request.vectors != 1),
                    request.vectors.eq(request.vectors - 1),
                    request.row.eq(request.row + 1),
                ]

    def _draw(self, m, request, feature, purpose):
        """Bytes of a slice for one purpose, which lie in one block or fill several."""
        lanes = self.config.update_width
        blocks = []
        for index in range(max(1, lanes // BLOCK_FEATURES)):
            m.submodules[f"cipher{index}"] = cipher = Threefry()
            block, tensor = Signal(16, name=f"block{index}"), Signal(15, name=f"tensor{index}")
            m.d.comb += [
                block.eq(feature // BLOCK_FEATURES + index),
                tensor.eq(request.tensor),
                cipher.key.eq(self.key),
                cipher.counter[0].eq(request.row),
                cipher.counter[1].eq(Cat(block, tensor, purpose)),
            ]
            blocks.append(cipher.block)
        octets = Cat(words.as_value() for words in blocks)
        if lanes >= BLOCK_FEATURES:
            return octets
        place = (feature % BLOCK_FEATURES) // lanes
        ages = delay_line(m, place, Threefry.latency, name="place")
        return octets.word_select(ages[-1], 8 * lanes)


def draws(config: AcceleratorConfig) -> RandomBytes | SliceBytes:
    """Return what draws the bytes of steps: a vector a cycle, or a slice every other one."""
    return RandomBytes(config) if config.update_slices == 1 else SliceBytes(config)


def draw_latency(config: AcceleratorConfig) -> int:
    """Cycles from the first of a request to its first bytes."""
    return (RandomBytes if config.update_slices == 1 else SliceBytes).latency


def draw_cycles(config: AcceleratorConfig) -> int:
    """Cycles from the bytes of a slice, or of a vector in one, to those of the next."""
    return 1 if config.update_slices == 1 else PURPOSES
