# SPDX-License-Identifier: Apache-2.0
"""What only Lattice's iCE40 has: the single-port RAM of the UltraPlus parts."""

from amaranth import C, ClockSignal, Instance, Module
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.vendor import LatticeICE40Platform

__all__ = ["SPRAMS", "SPRAM_WORDS", "Ice40", "Spram"]

SPRAMS = 4
"""Such RAMs in an iCE40UP5K."""
SPRAM_WORDS = 1 << 14
NIBBLES = 4


class Ice40:
    """Stands for the vendor's platform where a flow has none of Amaranth's: cells are taken."""


class Spram(wiring.Component):
    """16,384 words of 16 bits with one port: a cycle reads or writes.

    The word at `address` is at `read_data` in the cycle after one with `select` and without
    `write`, and stays there until the next such; after a write it is undefined. Contents start
    undefined, at zero in the twin.

    Attributes
    ----------
    select, write : In(1)
    address : In(14)
    write_data : In(16)
    mask : In(4)
        Nibbles to write.
    read_data : Out(16)
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "select": In(1),
                "write": In(1),
                "address": In(range(SPRAM_WORDS)),
                "write_data": In(16),
                "mask": In(NIBBLES),
                "read_data": Out(16),
            }
        )

    def elaborate(self, platform):
        if isinstance(platform, LatticeICE40Platform | Ice40):
            return self._cell()
        return self._twin()

    def _cell(self):
        m = Module()
        m.submodules.cell = Instance(
            "SB_SPRAM256KA",
            i_CLOCK=ClockSignal(),
            i_CHIPSELECT=self.select,
            i_WREN=self.write,
            i_ADDRESS=self.address,
            i_DATAIN=self.write_data,
            i_MASKWREN=self.mask,
            o_DATAOUT=self.read_data,
            i_STANDBY=C(0, 1),
            i_SLEEP=C(0, 1),
            # Low is off.
            i_POWEROFF=C(1, 1),
        )
        return m

    def _twin(self):
        m = Module()
        memory = Memory(shape=data.ArrayLayout(4, NIBBLES), depth=SPRAM_WORDS, init=[])
        m.submodules.memory = memory
        write, read = memory.write_port(granularity=1), memory.read_port()
        m.d.comb += [
            write.addr.eq(self.address),
            write.data.as_value().eq(self.write_data),
            write.en.eq(self.mask & (self.select & self.write).replicate(NIBBLES)),
            read.addr.eq(self.address),
            read.en.eq(self.select & ~self.write),
            self.read_data.eq(read.data),
        ]
        return m
