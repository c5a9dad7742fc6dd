# SPDX-License-Identifier: Apache-2.0
"""The pins of an SDRAM, and when its clock has to come."""

from amaranth import Elaboratable, Module, Signal
from amaranth.hdl import IOPort
from amaranth.lib import wiring

from gcnloom_fpga.board import INSIDE, Board, Sdram
from gcnloom_fpga.top.pads import ClockPad, Pads

__all__ = ["SdramPads", "sdram_phase"]

LEAD = 3.5e-9
"""Seconds by which the SDRAM's clock comes before the edge that ends a command.

It has to come at least 1 to 2 ns before, for the SDRAM holds no command longer, and at most 4.5,
for what is read must not be gone when it is taken: 2.5 ns of hold and 2 of the way there and back.
Read data come 6 ns after it and have a clock more to arrive."""
INVERTED = ("cs", "ras", "cas", "we")
NAMES = {
    # Lines within the package, as Gowin's tools and ours find them.
    "clk": "O_sdram_clk", "clk_en": "O_sdram_cke", "cs": "O_sdram_cs_n", "ras": "O_sdram_ras_n",
    "cas": "O_sdram_cas_n", "we": "O_sdram_wen_n", "ba": "O_sdram_ba", "a": "O_sdram_addr",
    "dqm": "O_sdram_dqm", "dq": "IO_sdram_dq",
}  # fmt: skip


def sdram_phase(hertz: float) -> float:
    """Degrees by which the SDRAM's clock comes after the accelerator's."""
    return 360 * (1 - LEAD * hertz) % 360


class SdramPads(Elaboratable):
    """Connect a shell's `sdram_` ports to pins.

    Parameters
    ----------
    board : Board
    sdram : Sdram
        The board's.
    shell : wiring.Component
    clock : Signal
        Of the SDRAM.

    Attributes
    ----------
    ports : dict[str, IOPort]
        By their names in the netlist; of an address only the bits that the shell has.
    """

    def __init__(self, board: Board, sdram: Sdram, shell: wiring.Component, clock: Signal) -> None:
        self.board, self.shell, self.clock = board, shell, clock
        self.lines: dict[str, IOPort] = {}
        for line, pins in sdram.pins.items():
            width = 1 if line == "clk" else len(self._port(line))
            if pins != (INSIDE,) and len(pins) < width:
                raise ValueError(
                    f"board {board.name}: sdram has {len(pins)} pins for {line}, "
                    f"{sdram.part.name} takes {width}; add them"
                )
            name = NAMES[line] if pins == (INSIDE,) else f"sdram_{line}"
            self.lines[line] = IOPort(width, name=name)
        self.ports = {port.name: port for port in self.lines.values()}

    def _port(self, line: str) -> Signal:
        return getattr(self.shell, f"sdram_{'dq_o' if line == 'dq' else line}")

    def elaborate(self, platform):
        """Build a register at every pin."""
        m = Module()
        part = self.board.part
        for line, pins in self.lines.items():
            if line == "clk":
                pads = ClockPad(part, pins, self.clock)
            elif line == "dq":
                pads = Pads(
                    part, pins, output=self.shell.sdram_dq_o, enable=self.shell.sdram_dq_oe,
                    answer=self.shell.sdram_dq_i,
                )  # fmt: skip
            else:
                value = self._port(line)
                pads = Pads(part, pins, output=~value if line in INVERTED else value)
            m.submodules[line] = pads
        return m
