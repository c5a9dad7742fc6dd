# SPDX-License-Identifier: Apache-2.0
"""Which products leave the multipliers for look-up tables, and that they stay what they are."""

import io
import shutil
from dataclasses import replace

import pytest
from amaranth.back import rtlil

from gcnloom_fpga.flow.progress import Narrator
from gcnloom_fpga.flow.synthesis import synthesise
from gcnloom_fpga.multipliers import Product, beyond
from gcnloom_fpga.part import part_named
from gcnloom_spec.toolchain import YOSYS, ToolError
from tests.fpga.netlist import Steps, simulated, stepped, synthesised
from tests.fpga.units import Units, stimuli


def product(path, a=8, b=8):
    return Product(name=rf"$flatten\core.{path}.$3", a=a, b=b)


SPARSE = [product(rf"\aggregate.\pe{pe}", 8, 8) for pe in (0, 2, 10) for _ in range(2)]
DENSE = [product(rf"\transform.\row{row}") for row in range(4)]
WIDE = [product(r"\update.\lane0", 32, 16)]


def chosen(most, **keys):
    return beyond([*WIDE, *DENSE, *reversed(SPARSE)], most=most, largest=18, **keys)


def test_all_stay_if_there_are_enough():
    assert WIDE[0].multipliers(18) == 2
    assert chosen(12) == []


def test_the_sparse_engine_goes_first_element_by_element():
    assert chosen(11) == SPARSE[:1]
    assert chosen(8) == SPARSE[:4]
    assert chosen(6) == SPARSE


def test_then_what_costs_the_fewest_look_up_tables():
    assert chosen(3) == SPARSE + DENSE[:3]
    # Two multipliers go with the wide one, of which one could have stayed.
    assert chosen(1) == [*SPARSE, *DENSE, *WIDE]
    assert chosen(0) == chosen(1)


def test_a_negative_number_is_refused():
    with pytest.raises(ValueError, match="most=-1"):
        chosen(-1)


def missing():
    try:
        YOSYS.find()
    except ToolError:
        return True
    return shutil.which("g++") is None


@pytest.mark.synth
@pytest.mark.skipif(missing(), reason="yosys or g++ is not installed")
@pytest.mark.parametrize(("most", "left"), [(9, 4), (2, 2), (0, 0)])
@pytest.mark.parametrize(("family", "cell"), [("ecp5", "MULT18X18D"), ("ice40", "SB_MAC16")])
def test_at_most_so_many_multipliers_are_left(family, cell, most, left):
    netlist = synthesised(Steps(Units()), family, most=most)
    assert netlist.cells.get(cell, 0) == left


@pytest.mark.synth
@pytest.mark.sim
@pytest.mark.skipif(missing(), reason="yosys or g++ is not installed")
def test_products_in_look_up_tables_are_the_same():
    steps = list(stimuli(200, seed=12))
    wrapped = Steps(Units())
    netlist = synthesised(wrapped, "ecp5", most=1)
    assert netlist.cells["MULT18X18D"] == 1
    assert stepped(wrapped, "ecp5", netlist, steps) == simulated(wrapped, steps)


@pytest.mark.synth
@pytest.mark.skipif(missing(), reason="yosys or g++ is not installed")
def test_a_board_uses_no_more_multipliers_than_its_part_has():
    small = replace(part_named("LFE5U-25F-6BG381C"), available={"DSP": 2})
    text = rtlil.convert(Steps(Units()), name="steps", emit_src=False)
    quiet = Narrator(io.StringIO(), quiet=True)
    assert synthesise(text, small, quiet, top="steps").used["DSP"] == 2
