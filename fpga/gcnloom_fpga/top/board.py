# SPDX-License-Identifier: Apache-2.0
"""BoardTop: a shell on a board's pins, with its clock and reset."""

from amaranth import ClockDomain, ClockSignal, Const, Elaboratable, Module, ResetSignal
from amaranth.back import rtlil
from amaranth.hdl import IOBufferInstance, IOPort
from amaranth.lib import wiring

from gcnloom_fpga.board import INSIDE, Board
from gcnloom_fpga.clocks.plan import ClockPlan
from gcnloom_fpga.top.pll import Pll
from gcnloom_fpga.top.reset import SteadyReset
from gcnloom_fpga.top.sdram import SdramPads
from gcnloom_hw.primitives.ice40 import Ice40

__all__ = ["TOP", "BoardTop"]

TOP = "top"


class BoardTop(Elaboratable):
    """Everything of a board's FPGA.

    Parameters
    ----------
    board : Board
    plan : ClockPlan
    shell : wiring.Component
        With ports `rx`, `tx`, `running` and, where the board has an SDRAM, those of
        :class:`~gcnloom_hw.dram.pins.SdramPins` with `sdram_` before their names.

    Attributes
    ----------
    pins : dict[str, str]
        Port bit, as constraints name it, to the pin it goes to.
    """

    def __init__(self, board: Board, plan: ClockPlan, shell: wiring.Component) -> None:
        self.board, self.plan, self.shell = board, plan, shell
        self.ports = {name: IOPort(1, name=name) for name in ("clk", "rx", "tx")}
        self.pins = {"clk": board.oscillator.pin, "rx": board.uart.rx, "tx": board.uart.tx}
        if board.led:
            self.ports["led"] = IOPort(1, name="led")
            self.pins["led"] = board.led.pin
        for number, pin in enumerate(board.tied):
            self.ports[f"tied_{number}"] = IOPort(1, name=f"tied_{number}")
            self.pins[f"tied_{number}"] = pin
        self._pll = Pll(board.part, plan, self.ports["clk"])
        self._sdram = None
        if board.sdram:
            self._sdram = SdramPads(board, board.sdram, shell, self._pll.shifted)
            self.ports |= self._sdram.ports
            for line, port in self._sdram.lines.items():
                self._locate(port, board.sdram.pins[line])

    def _locate(self, port: IOPort, pins: tuple[str, ...]) -> None:
        if pins == (INSIDE,):
            return
        names = [port.name] if len(port) == 1 else [f"{port.name}[{b}]" for b in range(len(port))]
        self.pins |= dict(zip(names, pins, strict=False))

    def netlist(self) -> str:
        """RTLIL of the whole, for yosys."""
        # Amaranth's own platform is not at work here; this says whose cells may be taken.
        part = self.board.part
        multipliers = bool(part.available["DSP"])
        platform = Ice40(multipliers=multipliers) if part.family == "ice40" else None
        ports = list(self.ports.values())
        return str(rtlil.convert(self, name=TOP, ports=ports, platform=platform, emit_src=False))

    def elaborate(self, platform):
        """Build the top; what depends on the vendor follows from the board's part."""
        m = Module()
        m.submodules.pll = pll = self._pll
        m.domains.sync = ClockDomain()
        m.submodules.reset = reset = SteadyReset()
        m.d.comb += [
            ClockSignal().eq(pll.clock),
            reset.locked.eq(pll.locked),
            ResetSignal().eq(reset.reset),
        ]
        m.submodules.shell = shell = self.shell
        m.submodules.rx = IOBufferInstance(self.ports["rx"], i=shell.rx)
        m.submodules.tx = IOBufferInstance(self.ports["tx"], o=shell.tx)
        if self.board.led:
            light = ~shell.running if self.board.led.inverted else shell.running
            m.submodules.led = IOBufferInstance(self.ports["led"], o=light)
        for number, level in enumerate(self.board.tied.values()):
            m.submodules += IOBufferInstance(self.ports[f"tied_{number}"], o=Const(level))
        if self._sdram:
            m.submodules.sdram = self._sdram
        return m
