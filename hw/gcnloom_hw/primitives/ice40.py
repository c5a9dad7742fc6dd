# SPDX-License-Identifier: Apache-2.0
"""What only Lattice's iCE40 has: multiplier and single-port RAM of the UltraPlus parts."""

from dataclasses import dataclass

from amaranth import C, ClockSignal, Instance, Module, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.vendor import LatticeICE40Platform

__all__ = ["SPRAMS", "SPRAM_WORDS", "Ice40", "MultiplyAdd", "Spram"]

SPRAMS = 4
"""Such RAMs in an iCE40UP5K."""
SPRAM_WORDS = 1 << 14
NIBBLES = 4


@dataclass(frozen=True, kw_only=True)
class Ice40:
    """Stands for the vendor's platform where a flow has none of Amaranth's: cells are taken.

    Parameters
    ----------
    multipliers : bool
        Whether the part has any.
    """

    multipliers: bool = True


class MultiplyAdd(wiring.Component):
    """Add a product to a sum, in one multiplier of the part with its adder and output register.

    `total` is the sum one cycle later, modulo ``2 ** 32``. Left to itself yosys makes the same of a
    product, a sum and a register, but where that register is wider than the sum, as along a chain
    of them, it drops what extends the sign, and all that depends on it.

    Attributes
    ----------
    enable : In(1)
        `total` stays without; that of a twin also where its domain is stopped.
    a, b : In(signed(16))
    above : In(signed(32))
    total : Out(signed(32))
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "enable": In(1),
                "a": In(signed(16)),
                "b": In(signed(16)),
                "above": In(signed(32)),
                "total": Out(signed(32)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        has_cells = isinstance(platform, Ice40) and platform.multipliers
        if not has_cells and not isinstance(platform, LatticeICE40Platform):
            total = Signal(signed(32), reset_less=True)
            with m.If(self.enable):
                m.d.sync += total.eq(self.above + self.a * self.b)
            m.d.comb += self.total.eq(total)
            return m
        halves = {"TOP": self.above[16:], "BOT": self.above[:16]}
        m.submodules.cell = Instance(
            "SB_MAC16",
            p_A_SIGNED=C(1, 1),
            p_B_SIGNED=C(1, 1),
            # Both halves: the product's and the sum's, added, through a register. The upper half
            # takes the lower's carry.
            **{
                f"p_{half}{name}": C(value, 2)
                for half in halves
                for name, value in (
                    ("OUTPUT_SELECT", 1), ("ADDSUB_LOWERINPUT", 2),
                    ("ADDSUB_CARRYSELECT", 3 if half == "TOP" else 0),
                )
            },
            p_TOPADDSUB_UPPERINPUT=C(1, 1),
            p_BOTADDSUB_UPPERINPUT=C(1, 1),
            i_CLK=ClockSignal(),
            i_CE=self.enable,
            i_A=self.a,
            i_B=self.b,
            i_C=halves["TOP"],
            i_D=halves["BOT"],
            o_O=self.total,
            **{
                f"i_{name}": C(0, 1)
                for name in (
                    "AHOLD", "BHOLD", "CHOLD", "DHOLD", "IRSTTOP", "IRSTBOT", "ORSTTOP", "ORSTBOT",
                    "OLOADTOP", "OLOADBOT", "ADDSUBTOP", "ADDSUBBOT", "OHOLDTOP", "OHOLDBOT", "CI",
                    "ACCUMCI", "SIGNEXTIN",
                )
            },
        )  # fmt: skip
        return m


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
        cells = isinstance(platform, LatticeICE40Platform | Ice40)
        return self._cell() if cells else self._twin()

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
