# SPDX-License-Identifier: Apache-2.0
"""The vendors' PLLs, set as a ClockPlan says."""

from amaranth import Const, Elaboratable, Instance, Module, Signal
from amaranth.hdl import IOBufferInstance, IOPort

from gcnloom_fpga.clocks.plan import ClockPlan
from gcnloom_fpga.part import Part

__all__ = ["Pll"]


class Pll(Elaboratable):
    """Make the clock from the oscillator's pin; without settings they are the same.

    Parameters
    ----------
    part : Part
    plan : ClockPlan
    pin : IOPort

    Attributes
    ----------
    clock, shifted : Signal()
        The clock, and the one that comes a phase later, if the plan has one.
    locked : Signal()
        Both are steady.
    """

    def __init__(self, part: Part, plan: ClockPlan, pin: IOPort) -> None:
        self.part, self.plan, self.pin = part, plan, pin
        self.clock, self.shifted, self.locked = Signal(), Signal(), Signal()

    def elaborate(self, platform):
        """Build the PLL of the part's family."""
        m = Module()
        if not self.plan.settings:
            m.submodules += IOBufferInstance(self.pin, i=self.clock)
            m.d.comb += self.locked.eq(1)
            return m
        make = {"ecp5": self._ecp5, "ice40": self._ice40, "gowin": self._gowin}
        make[self.part.family](m)
        return m

    def _source(self, m: Module) -> Signal:
        source = Signal()
        m.submodules += IOBufferInstance(self.pin, i=source)
        return source

    def _ecp5(self, m: Module) -> None:
        parameters = {f"p_{name}": value for name, value in self.plan.settings.items()}
        outputs = {"o_CLKOP": self.clock, "p_CLKOP_ENABLE": "ENABLED"}
        if self.plan.phase is not None:
            outputs |= {"o_CLKOS": self.shifted, "p_CLKOS_ENABLE": "ENABLED"}
        off = ("RST", "STDBY", "PHASESEL0", "PHASESEL1", "PHASEDIR", "PHASESTEP", "PHASELOADREG")
        m.submodules.pll = Instance(
            "EHXPLLL",
            i_CLKI=self._source(m), o_LOCK=self.locked,
            **outputs, **parameters, p_FEEDBK_PATH="INT_OS3", p_CLKOS3_ENABLE="ENABLED",
            **{f"i_{name}": Const(0) for name in (*off, "PLLWAKESYNC", "ENCLKOP")},
            # What the charge pump and its filter are set to by Lattice's own tool.
            a_ICP_CURRENT="12", a_LPF_RESISTOR="8", a_MFG_ENABLE_FILTEROPAMP="1",
            a_MFG_GMCREF_SEL="2",
        )  # fmt: skip

    def _ice40(self, m: Module) -> None:
        widths = {"DIVR": 4, "DIVF": 7, "DIVQ": 3, "FILTER_RANGE": 3}
        settings = {
            f"p_{name}": Const(value, widths[name]) for name, value in self.plan.settings.items()
        }
        m.submodules.pll = Instance(
            "SB_PLL40_PAD",
            # This PLL is fed by its pin and by no other way.
            io_PACKAGEPIN=self.pin, o_PLLOUTGLOBAL=self.clock, o_LOCK=self.locked,
            i_RESETB=Const(1), i_BYPASS=Const(0), p_FEEDBACK_PATH="SIMPLE", **settings,
        )  # fmt: skip

    def _gowin(self, m: Module) -> None:
        settings = dict(self.plan.settings)
        moved = {name: settings.pop(name, default) for name, default in GOWIN_UNMOVED.items()}
        fixed = {f"p_DYN_{name}_SEL": "false" for name in ("IDIV", "FBDIV", "ODIV")}
        zeros = {"FBDSEL": 6, "IDSEL": 6, "ODSEL": 6, "PSDA": 4, "DUTYDA": 4, "FDLY": 4}
        outputs = {"o_CLKOUT": self.clock}
        if self.plan.phase is not None:
            outputs["o_CLKOUTP"] = self.shifted
        m.submodules.pll = Instance(
            "rPLL",
            i_CLKIN=self._source(m), o_LOCK=self.locked, **outputs,
            **{f"p_{name}": value for name, value in settings.items()},
            **{f"p_{name}_SEL": f"{value:04b}" for name, value in moved.items()},
            **fixed,
            p_FCLKIN=f"{self.plan.source / 1e6:g}", p_DYN_DA_EN="false", p_CLKFB_SEL="internal",
            p_DEVICE="GW1NR-9C" if "GW1NR" in self.part.name else "GW2AR-18C",
            **{f"i_{name}": Const(0, width) for name, width in zeros.items()},
            i_RESET=Const(0), i_RESET_P=Const(0), i_CLKFB=Const(0),
        )  # fmt: skip


GOWIN_UNMOVED = {"PSDA": 0, "DUTYDA": 8}
"""Phase and falling edge, in sixteenths of a period, of a second output that is not used."""
