# SPDX-License-Identifier: Apache-2.0
"""Writes on their way to device memory, and the news that memory has accepted them."""

from amaranth import Module
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.memory.port import write_request
from gcnloom_hw.streams.queue import Queue

__all__ = ["LeavingWrites"]


class LeavingWrites(wiring.Component):
    """Pass writes on; return the tag of each once memory has accepted it.

    Memory is far from all that waits for it: `valid` and `accepted` come from flip-flops, and with
    a depth of 2 nothing waits for memory's `ready`. Latency 1; one write a cycle.

    Parameters
    ----------
    memory_bytes : int
    tag : int
        Bits of a write's tag; zero says nothing.
    depth : int
        Writes that may wait, 1 or 2.

    Attributes
    ----------
    i : In(stream.Signature(StructLayout({"write": write_request(memory_bytes), "tag": tag})))
    writes : Out(stream.Signature(write_request(memory_bytes)))
    accepted : Out(tag)
        In the cycle after memory accepted the write; else zero.
    empty : Out(1)
        None is on its way, nor is news of one.
    """

    i: stream.Interface
    writes: stream.Interface

    def __init__(self, memory_bytes: int, *, tag: int, depth: int = 2) -> None:
        self._depth = depth
        write = write_request(memory_bytes)
        self._tagged = data.StructLayout({"write": write, "tag": tag})
        super().__init__(
            {
                "i": In(stream.Signature(self._tagged)),
                "writes": Out(stream.Signature(write)),
                "accepted": Out(tag),
                "empty": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.queue = queue = Queue(self._tagged, depth=self._depth)
        wiring.connect(m, outer=wiring.flipped(self.i), inner=queue.i)
        m.d.comb += [
            self.writes.valid.eq(queue.o.valid),
            self.writes.payload.eq(queue.o.p.write),
            queue.o.ready.eq(self.writes.ready),
            self.empty.eq(~queue.o.valid & ~self.accepted.any()),
        ]
        m.d.sync += self.accepted.eq(0)
        with m.If(queue.o.valid & queue.o.ready):
            m.d.sync += self.accepted.eq(queue.o.p.tag)
        return m
