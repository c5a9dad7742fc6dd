# SPDX-License-Identifier: Apache-2.0
"""Clock plans keep to the data sheets' limits and give what the vendors' formulas say."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from gcnloom_fpga.board import Board
from gcnloom_fpga.boards.files import board_names
from gcnloom_fpga.clocks.plan import plan_clock
from gcnloom_fpga.part import part_named
from gcnloom_fpga.top.sdram import sdram_phase

ECP5 = part_named("LFE5U-25F-6BG381C")
UP5K = part_named("iCE40UP5K-SG48")
GW1N = part_named("GW1NR-LV9QN88PC6/I5")
GW2A = part_named("GW2AR-LV18QN88C8/I7")


def _ecp5(source, s):
    # FPGA-TN-02200: the oscillator runs at the detector's rate times both dividers of the loop.
    detector = source / s["CLKI_DIV"]
    vco = detector * s["CLKFB_DIV"] * s["CLKOS3_DIV"]
    assert 10 <= detector <= 400 and 400 <= vco <= 800
    assert 3.125 <= vco / s["CLKOS3_DIV"] <= 400
    assert all(1 <= s[name] <= 128 for name in ("CLKI_DIV", "CLKFB_DIV", "CLKOP_DIV"))
    return vco / s["CLKOP_DIV"]


def _ice40(source, s):
    # FPGA-TN-02052, simple feedback.
    detector = source / (s["DIVR"] + 1)
    vco = detector * (s["DIVF"] + 1)
    assert 10 <= detector <= 133 and 533 <= vco <= 1066
    assert 0 <= s["DIVR"] <= 15 and 0 <= s["DIVF"] <= 127 and 1 <= s["DIVQ"] <= 6
    return vco / 2 ** s["DIVQ"]


def _gowin(source, s, slowest, fastest):
    # UG286, rPLL.
    detector = source / (s["IDIV_SEL"] + 1)
    out = detector * (s["FBDIV_SEL"] + 1)
    assert 3 <= detector and slowest <= out * s["ODIV_SEL"] <= fastest
    assert s["ODIV_SEL"] in (2, 4, 8, 16, 32, 48, 64, 80, 96, 112, 128)
    return out


@pytest.mark.parametrize(
    ("part", "source", "formula", "wanted"),
    [
        (ECP5, 25, _ecp5, (12.5, 48, 50, 60, 66.7, 80, 100, 125, 133.3, 150, 200)),
        (ECP5, 48, _ecp5, (40, 60, 96, 100)),
        (ECP5, 100, _ecp5, (50, 75, 80, 120)),
        (UP5K, 12, _ice40, (16, 18, 20, 24, 26, 30, 36, 48)),
        (GW1N, 27, lambda f, s: _gowin(f, s, 400, 1200), (20.25, 40.5, 54, 60, 81)),
        (GW2A, 27, lambda f, s: _gowin(f, s, 500, 1250), (40.5, 48, 54, 60, 67.5)),
    ],
)
def test_settings_give_the_clock_they_promise_within_the_limits(part, source, formula, wanted):
    for megahertz in wanted:
        plan = plan_clock(part, source * 1e6, megahertz * 1e6)
        assert formula(source, plan.settings) == pytest.approx(plan.hertz / 1e6)
        assert plan.hertz / 1e6 == pytest.approx(megahertz, rel=0.05)


def test_a_clock_that_can_be_made_exactly_is():
    for part, source, wanted in ((ECP5, 25, 60), (ECP5, 25, 100), (UP5K, 12, 24), (GW2A, 27, 54)):
        assert plan_clock(part, source * 1e6, wanted * 1e6).hertz == pytest.approx(wanted * 1e6)


def test_no_pll_where_the_oscillator_is_what_is_wanted():
    assert plan_clock(UP5K, 12e6, 12e6).settings == {}


@pytest.mark.parametrize(
    ("part", "source", "wanted"),
    [(UP5K, 12e6, 5e6), (UP5K, 5e6, 20e6), (ECP5, 25e6, 2e6), (ECP5, 4e6, 50e6), (GW1N, 27e6, 0)],
)
def test_what_cannot_be_made_is_refused_with_a_hint(part, source, wanted):
    with pytest.raises(ValueError, match="try"):
        plan_clock(part, source, wanted)


@pytest.mark.parametrize("hertz", [25e6, 50e6, 60e6, 100e6])
def test_the_second_clock_comes_when_an_sdram_wants_it(hertz):
    plan = plan_clock(ECP5, 25e6, hertz, phase=sdram_phase(hertz))
    s = plan.settings
    later = s["CLKOS_CPHASE"] - s["CLKOP_CPHASE"] + s["CLKOS_FPHASE"] / 8
    seconds = later / plan.vco
    # Before the edge that ends a command, by what docs/boards.md reckons with.
    assert 1 / plan.hertz - seconds == pytest.approx(3.5e-9, abs=0.5e-9)
    assert s["CLKOS_DIV"] == s["CLKOP_DIV"] and s["CLKOS_CPHASE"] <= 127
    assert plan.phase == pytest.approx(360 * seconds * plan.hertz)


def test_gowins_phase_comes_in_sixteenths_with_an_even_duty():
    plan = plan_clock(GW2A, 27e6, 40.5e6, phase=300)
    assert plan.settings["PSDA"] == round(300 / 22.5)
    assert (plan.settings["DUTYDA"] - plan.settings["PSDA"]) % 16 == 8
    assert plan.phase == 292.5


@pytest.mark.parametrize("name", board_names())
def test_every_board_has_a_clock_plan(name):
    board = Board.named(name)
    plan = plan_clock(board.part, board.oscillator.hertz, board.hertz)
    assert plan.hertz == pytest.approx(board.hertz, rel=0.01)


def _tool(name, *arguments):
    path = Path(sys.executable).with_name(name)
    if not path.exists():
        pytest.skip(f"{name} is not installed")
    return subprocess.run([path, *arguments], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(("source", "wanted"), [(12, 20), (12, 24), (12, 30), (25, 50), (48, 60)])
def test_icestorm_agrees(source, wanted):
    said = _tool("yowasp-icepll", "-i", str(source), "-o", str(wanted))
    theirs = {
        name: int(re.search(rf"{name}:\s+(\d+)", said)[1])
        for name in ("DIVR", "DIVF", "DIVQ", "FILTER_RANGE")
    }
    plan = plan_clock(UP5K, source * 1e6, wanted * 1e6)
    assert plan.hertz / 1e6 == pytest.approx(_ice40(source, theirs))
    if plan.settings["DIVR"] == theirs["DIVR"]:
        assert plan.settings["FILTER_RANGE"] == theirs["FILTER_RANGE"]


@pytest.mark.parametrize("wanted", [40.5, 54])
def test_apicula_agrees_on_the_clock(wanted):
    said = _tool("gowin_pll", "-d", "GW2AR-LV18QN88C8/I7", "-i", "27", "-o", str(wanted))
    theirs = float(re.search(r"CLKOUT = ([\d.]+) MHz", said)[1])
    assert plan_clock(GW2A, 27e6, wanted * 1e6).hertz == pytest.approx(theirs * 1e6)
