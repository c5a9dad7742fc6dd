# SPDX-License-Identifier: Apache-2.0
"""Which addresses have writes under way."""

from amaranth import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from gcnloom_hw.memory.port import ADDRESS_BITS

__all__ = ["PendingWrites"]

BUCKETS = 64


class PendingWrites(wiring.Component):
    """Remember for each address whether a burst that wrote to it is still under way.

    Bursts are numbered, and end in the order in which they began. Of all addresses that share a
    bucket the number of the last burst is kept: such an address may be held for pending when
    another one is, never the other way round.

    Parameters
    ----------
    most : int
        Bursts under way, a power of two.

    Attributes
    ----------
    begins : In(1)
        The write of this clock is the first of a burst.
    write : In(1)
    write_address : In(32)
    ends : In(1)
        The oldest burst is done.
    full : Out(1)
        No burst may begin.
    empty : Out(1)
    read_address : In(32)
    pending : Out(1)
        For `read_address`, as of all clocks before.
    """

    def __init__(self, *, most: int) -> None:
        self._most = most
        super().__init__(
            {
                "begins": In(1),
                "write": In(1),
                "write_address": In(ADDRESS_BITS),
                "ends": In(1),
                "full": Out(1),
                "empty": Out(1),
                "read_address": In(ADDRESS_BITS),
                "pending": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        # Numbers go twice as far as bursts, so that one that is done differs from those that wait.
        begun, done, last, under_way = (Signal(range(2 * self._most)) for _ in range(4))
        number, age = Signal.like(begun), Signal.like(begun)
        m.submodules.lasts = lasts = Memory(shape=len(begun), depth=BUCKETS, init=[])
        write, read = lasts.write_port(), lasts.read_port(domain="comb")
        bits = len(write.addr)
        m.d.comb += [
            number.eq(begun + self.begins),
            write.en.eq(self.write),
            write.addr.eq(self.write_address[:bits] ^ self.write_address[bits : 2 * bits]),
            write.data.eq(number),
            read.addr.eq(self.read_address[:bits] ^ self.read_address[bits : 2 * bits]),
            last.eq(read.data),
            under_way.eq(begun - done),
            self.full.eq(under_way == self._most),
            self.empty.eq(under_way == 0),
            # Those under way are the numbers from done + 1 to begun.
            age.eq(begun - last),
            self.pending.eq(age < under_way),
        ]
        m.d.sync += [begun.eq(number), done.eq(done + self.ends)]
        return m
