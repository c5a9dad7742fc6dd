# SPDX-License-Identifier: Apache-2.0
"""Requests that wait to be carried out, in block RAM."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

__all__ = ["RequestBuffer"]


class RequestBuffer(wiring.Component):
    """A ring of bytes that shows a body only once it is committed, its length ahead of it.

    A body leaves as its `units` and its bytes. It finds room if all bodies in the ring, a byte
    more each, take less than `depth` bytes. A byte leaves every third cycle.

    Parameters
    ----------
    depth : int
        Bytes, a power of two.

    Attributes
    ----------
    byte : In(8)
    put, commit, abandon : In(1)
        One at a time: the byte behind those before, or an end to them.
    units : In(8)
    room : Out(1)
        There is room for a byte, or for an end. A body without must be abandoned.
    o : Out(stream.Signature(8))
    """

    def __init__(self, *, depth: int) -> None:
        self._depth = depth
        super().__init__(
            {
                "byte": In(8),
                "put": In(1),
                "commit": In(1),
                "abandon": In(1),
                "units": In(8),
                "room": Out(1),
                "o": Out(stream.Signature(8)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory = memory = Memory(shape=8, depth=self._depth, init=[])
        write, read = memory.write_port(), memory.read_port()
        first = Signal.like(read.addr)
        # Where the body's length will be, and where its next byte goes.
        begin, following = Signal.like(read.addr), Signal.like(read.addr, init=1)
        stepped = Signal()
        m.d.comb += [
            self.room.eq(following != first),
            write.en.eq(self.put | self.commit),
            write.addr.eq(Mux(self.commit, begin, following)),
            write.data.eq(Mux(self.commit, self.units, self.byte)),
            stepped.eq(self.put | self.commit | self.abandon),
        ]
        with m.If(stepped):
            m.d.sync += following.eq(Mux(self.abandon, begin, following) + 1)
        with m.If(self.commit):
            m.d.sync += begin.eq(following)

        # The memory answers a cycle after it is asked, and its word goes through a register.
        taken, asked = Signal(), Signal()
        m.d.comb += [read.addr.eq(first), taken.eq(self.o.valid & self.o.ready)]
        m.d.sync += self.o.payload.eq(read.data)
        with m.If(taken):
            m.d.sync += [first.eq(first + 1), Cat(asked, self.o.valid).eq(0)]
        with m.Else():
            m.d.sync += [asked.eq(first != begin), self.o.valid.eq(asked)]
        return m
