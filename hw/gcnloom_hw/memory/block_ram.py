# SPDX-License-Identifier: Apache-2.0
"""Block RAM as the device memory, for parts on which a whole training fits."""

from amaranth import Module, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from gcnloom_hw.arithmetic.delay import delay_line
from gcnloom_hw.memory.port import ADDRESS_BITS, write_request
from gcnloom_hw.streams.queue import CreditedQueue, Queue

__all__ = ["BlockRamMemory"]


class BlockRamMemory(wiring.Component):
    """The accelerator's memory port on block RAM: a word each way in every cycle.

    An answer comes :attr:`latency` cycles after its read is accepted. A read in the cycle of a
    write to the same word gets the word before or after it. Higher address bits than the memory
    has are not looked at. At most :attr:`reads` are in flight. Contents start at zero, or at
    `init`.

    Parameters
    ----------
    memory_bytes : int
        Bytes of a word.
    words : int
    init : sequence of int

    Attributes
    ----------
    addresses : In(stream.Signature(32))
    answers : Out(stream.Signature(8 * memory_bytes))
    writes : In(stream.Signature(write_request(memory_bytes)))
    """

    pipeline = 2
    latency = pipeline + Queue.latency
    reads = pipeline + 3

    addresses: stream.Interface
    answers: stream.Interface
    writes: stream.Interface

    def __init__(self, *, memory_bytes: int, words: int, init=()) -> None:
        self._shape = data.ArrayLayout(unsigned(8), memory_bytes)
        self._words, self._init = words, list(init)
        super().__init__(
            {
                "addresses": In(stream.Signature(ADDRESS_BITS)),
                "answers": Out(stream.Signature(8 * memory_bytes)),
                "writes": In(stream.Signature(write_request(memory_bytes))),
            }
        )

    def elaborate(self, platform):
        m = Module()
        size = self._shape.size
        lanes = [word.to_bytes(size // 8, "little") for word in self._init]
        memory = Memory(
            shape=self._shape, depth=self._words, init=[list(lane) for lane in lanes],
            attrs={"no_rw_check": 1},
        )  # fmt: skip
        m.submodules.memory = memory
        write, read = memory.write_port(granularity=1), memory.read_port()
        m.submodules.queue = queue = CreditedQueue(size, depth=self.reads)
        wiring.connect(m, inner=queue.o, outer=wiring.flipped(self.answers))
        accepted = self.addresses.valid & self.addresses.ready
        arrived = delay_line(m, accepted, self.pipeline, name="arrived", reset_less=False)[-1]
        word = delay_line(m, read.data.as_value(), self.pipeline - 1, name="word")[-1]
        m.d.comb += [
            self.addresses.ready.eq(queue.available),
            queue.take.eq(accepted),
            read.addr.eq(self.addresses.payload[: len(read.addr)]),
            queue.i.valid.eq(arrived),
            queue.i.payload.eq(word),
            self.writes.ready.eq(1),
            write.addr.eq(self.writes.p.address[: len(write.addr)]),
            write.data.as_value().eq(self.writes.p.data),
            write.en.eq(self.writes.p.mask & self.writes.valid.replicate(len(write.en))),
        ]
        return m
