# SPDX-License-Identifier: Apache-2.0
"""Reset lasts until the clock is steady; an SDRAM's lines rest at the levels of its data sheet."""

import json

import pytest
from amaranth.sim import Simulator

from gcnloom_fpga.tools import run
from gcnloom_fpga.top.reset import SteadyReset
from gcnloom_spec.toolchain import YOSYS, ToolError
from tests.fpga.tiny import tiny_top


def _missing(*programs):
    for program in programs:
        try:
            program.find()
        except ToolError:
            return True
    return False


def _resets(pattern):
    """What the reset is in each clock, for levels of lock."""
    dut = SteadyReset()
    seen = []

    async def testbench(ctx):
        for locked in pattern:
            ctx.set(dut.locked, locked)
            seen.append(ctx.get(dut.reset))
            await ctx.tick()

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(testbench)
    simulator.run()
    return seen


def test_reset_is_there_from_the_first_clock_until_lock_has_lasted():
    seen = _resets([0] * 5 + [1] * 40)
    assert seen == [1] * (5 + 2 + SteadyReset.clocks) + [0] * (40 - 2 - SteadyReset.clocks)


def test_reset_comes_back_when_lock_is_lost_even_for_one_clock():
    seen = _resets([1] * 30 + [0] + [1] * 30)
    lost = seen[30:]
    assert lost[0] == 0 and lost[4] == 1
    assert lost[-1] == 0 and sum(lost) >= SteadyReset.clocks - 1


@pytest.mark.synth
@pytest.mark.skipif(_missing(YOSYS), reason="yosys is not installed")
def test_sdram_lines_are_registered_and_low_where_the_part_wants_it(tmp_path):
    (tmp_path / "top.il").write_text(tiny_top("ulx3s-25f", idle=True).netlist())
    script = "read_rtlil top.il; hierarchy -top top; proc; flatten; opt; write_json top.json"
    run(YOSYS.find(), ("-q", "-p", script), folder=tmp_path)
    module = json.loads((tmp_path / "top.json").read_text())["modules"]["top"]
    driver = {
        bit: cell
        for cell in module["cells"].values()
        for port in ("Q", "O")
        for bit in cell["connections"].get(port, ())
        if isinstance(bit, int)
    }

    def level(name):
        """Level at a pin of which the shell asserts nothing."""
        pad = driver[module["ports"][name]["bits"][0]]
        assert pad["type"] == "OFS1P3DX"
        return pad["connections"]["D"]

    for line in ("cs", "ras", "cas", "we"):
        assert level(f"sdram_{line}") == ["1"], line
    for line in ("clk_en", "ba", "a", "dqm"):
        assert level(f"sdram_{line}") == ["0"], line
    assert module["ports"]["tied_0"]["bits"] == ["1"]
    buffers = [cell for cell in module["cells"].values() if cell["type"] == "BB"]
    assert len(buffers) == 16
    for buffer in buffers:
        # Nobody drives the pin unless the shell says so, and T is low where it does.
        assert driver[buffer["connections"]["T"][0]]["connections"]["D"] == ["1"]
    clock = driver[module["ports"]["sdram_clk"]["bits"][0]]
    assert clock["type"] == "ODDRX1F"
    assert (clock["connections"]["D0"], clock["connections"]["D1"]) == (["1"], ["0"])
    (pll,) = (cell for cell in module["cells"].values() if cell["type"] == "EHXPLLL")
    assert clock["connections"]["SCLK"] == pll["connections"]["CLKOS"]
