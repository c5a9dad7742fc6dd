# SPDX-License-Identifier: Apache-2.0
"""On-chip memory with one write and one read port."""

from amaranth import Module, unsigned
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

__all__ = ["Scratchpad"]


class Scratchpad(wiring.Component):
    """A block-RAM memory: one write and one read a cycle.

    The word at `read_address` appears at `read_data` one cycle later (:attr:`latency`). What a
    read in the cycle of a write to the same address returns is undefined: block RAM does not
    say, and logic that makes it so would cost more than most users' own. Contents start at zero.

    Parameters
    ----------
    width : int
        Bits of a word.
    depth : int
        Number of words.

    Attributes
    ----------
    write_enable, write_address, write_data : In
    read_enable, read_address : In
    read_data : Out
    """

    latency = 1

    def __init__(self, *, width: int, depth: int) -> None:
        self.width = width
        self.depth = depth
        address = range(max(2, depth))
        super().__init__(
            {
                "write_enable": In(1),
                "write_address": In(address),
                "write_data": In(width),
                "read_enable": In(1, init=1),
                "read_address": In(address),
                "read_data": Out(width),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory = memory = Memory(
            shape=unsigned(self.width),
            depth=self.depth,
            init=[],
            # Or yosys adds a bypass that gives the old word on a collision.
            attrs={"no_rw_check": 1},
        )
        write = memory.write_port()
        read = memory.read_port()
        m.d.comb += [
            write.en.eq(self.write_enable),
            write.addr.eq(self.write_address),
            write.data.eq(self.write_data),
            read.en.eq(self.read_enable),
            read.addr.eq(self.read_address),
            self.read_data.eq(read.data),
        ]
        return m
