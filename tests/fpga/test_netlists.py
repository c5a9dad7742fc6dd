# SPDX-License-Identifier: Apache-2.0
"""What the flow makes of multipliers and block RAMs, with the vendors' cells, beside the gateware.

yosys' models of the cells where they compute, else ours.
"""

import shutil

import pytest

from gcnloom_fpga.families.family import OLDEST_YOSYS
from gcnloom_spec.toolchain import YOSYS, ToolError
from tests.fpga.netlist import Steps, simulated, stepped, synthesised
from tests.fpga.units import Units, stimuli

STEPS = 600
CELLS = {
    # Two products of the array, one of the sparse engine, and one by itself; seven memories of
    # words and one of sums; queues in LUT memory where there is such.
    "ecp5": {"MULT18X18D": 4, "DP16KD": 8, "TRELLIS_DPR16X4": 10},
    "ice40": {"SB_MAC16": 4, "SB_RAM40_4K": 31},
    "gowin": {"MULT9X9": 4, "SDPX9B": 2, "DPX9B": 3, "DPB": 3, "RAM16SDP4": 10},
}
IMPROVED = {
    "ecp5": {"memory output": 2, "product": 4, "operands": 1, "reset copies": 0},
    "ice40": {},
    "gowin": {},
}


def missing(family):
    try:
        YOSYS.find(oldest=OLDEST_YOSYS)
    except ToolError:
        return True
    return shutil.which("g++") is None


def needs(family):
    reason = "yosys or g++ is not installed"
    return pytest.param(family, marks=pytest.mark.skipif(missing(family), reason=reason))


@pytest.fixture(scope="module")
def reference():
    steps = list(stimuli(STEPS, seed=11))
    return steps, simulated(Steps(Units()), steps)


@pytest.mark.synth
@pytest.mark.sim
@pytest.mark.parametrize("family", [needs(family) for family in CELLS])
def test_vendor_cells_compute_what_the_gateware_does(family, reference):
    steps, expected = reference
    wrapped = Steps(Units())
    netlist = synthesised(wrapped, family)
    assert {cell: netlist.cells[cell] for cell in CELLS[family]} == CELLS[family]
    assert netlist.improved == IMPROVED[family]
    found = stepped(wrapped, family, netlist, steps)
    differing = [index for index, row in enumerate(expected) if row != found[index]]
    assert differing == [], f"first at step {differing[0]}"


def test_the_stimuli_reach_what_is_compared(reference):
    _, expected = reference
    seen = {name: len({row[name] for row in expected}) for name in expected[0]}
    assert seen["pe.words.valid"] == 2
    assert seen["pe.hazard"] == 1
    for name in ("pe.words.payload", "row.accumulators", "words.word", "words.narrow", "words.odd"):
        assert seen[name] > 100
    assert seen["product.product"] > 100
