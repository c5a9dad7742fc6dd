# SPDX-License-Identifier: Apache-2.0
"""Sums of products that an iCE40's multipliers add up themselves, beside the gateware."""

import random
from dataclasses import replace

import pytest
from amaranth import Const, EnableInserter, Module, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.transform.row import ArrayRow
from gcnloom_spec.config import AcceleratorConfig
from tests.fpga.netlist import Steps, simulated, stepped, synthesised
from tests.fpga.test_netlists import needs

STEPS = 400
CONFIG = replace(AcceleratorConfig.from_toml("ice"), columns=2)


class Rows(wiring.Component):
    """Three rows of a compact array; each has a sum that is a bit wider than the one above."""

    rows = 3

    def __init__(self):
        super().__init__(
            {
                "left": In(signed(8)).array(self.rows),
                "right": In(signed(8)).array(CONFIG.columns),
                "capture": In(1),
                "enable": In(1),
                "total": Out(signed(32)).array(CONFIG.columns),
            }
        )

    def elaborate(self, platform):
        m = Module()
        above, rights = [Const(0, signed(32))] * CONFIG.columns, self.right
        for number in range(self.rows):
            row = ArrayRow(CONFIG)
            m.submodules[f"row{number}"] = EnableInserter(self.enable)(row)
            m.d.comb += [
                row.left.eq(self.left[number]),
                row.control.capture.eq(self.capture),
                row.moves.eq(self.enable),
            ]
            for c in range(CONFIG.columns):
                m.d.comb += [row.above[c].eq(above[c]), row.rights[c].eq(rights[c])]
            above, rights = row.accumulators, row.rights_below
        m.d.comb += [self.total[c].eq(above[c]) for c in range(CONFIG.columns)]
        return m


def stimuli(seed):
    draw = random.Random(seed)
    ports = [*(f"left.{i}" for i in range(Rows.rows)), *(f"right.{i}" for i in range(2))]
    for _ in range(STEPS):
        step = {port: draw.getrandbits(8) for port in ports}
        yield step | {"capture": draw.random() < 0.2, "enable": draw.random() < 0.8}


@pytest.mark.synth
@pytest.mark.sim
@pytest.mark.parametrize("family", [needs("ice40")])
def test_sums_along_a_column_are_those_of_the_gateware(family):
    """Registers wider than their sum used to lose its sign, and products with it."""
    steps, wrapped = list(stimuli(3)), Steps(Rows())
    expected = simulated(wrapped, steps)
    netlist = synthesised(wrapped, family)
    assert netlist.cells["SB_MAC16"] == Rows.rows * CONFIG.columns
    found = stepped(wrapped, family, netlist, steps)
    assert [index for index, row in enumerate(expected) if row != found[index]] == []
    totals = [row["total.1"] for row in expected]
    assert len(set(totals)) > STEPS // 4 and max(totals) >> 31
