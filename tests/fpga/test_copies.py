# SPDX-License-Identifier: Apache-2.0
"""Registers that carry `keep` stay apart in the netlist, and only these."""

from collections import Counter

import pytest
from amaranth import Module, Signal
from amaranth.back import rtlil
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gcnloom_fpga.flow.synthesis import COPIES
from gcnloom_fpga.tools import run
from gcnloom_spec.toolchain import YOSYS, ToolError

BITS, COUNT = 5, 3


class Copies(wiring.Component):
    """Equal registers: `COUNT` to keep, as many that may become one, and some with a reset."""

    i: In(BITS)
    kept: Out(BITS * COUNT)
    merged: Out(BITS * COUNT)
    cleared: Out(BITS * COUNT)

    def elaborate(self, platform):
        m = Module()
        for number in range(COUNT):
            part = slice(number * BITS, (number + 1) * BITS)
            kept = Signal(BITS, name=f"kept{number}", reset_less=True, attrs={"keep": 1})
            merged = Signal(BITS, name=f"merged{number}", reset_less=True)
            cleared = Signal(BITS, name=f"cleared{number}", attrs={"keep": 1})
            m.d.sync += [kept.eq(self.i), merged.eq(~self.i), cleared.eq(self.i + 1)]
            m.d.comb += [
                self.kept[part].eq(kept),
                self.merged[part].eq(merged),
                self.cleared[part].eq(cleared),
            ]
        return m


@pytest.mark.synth
def test_copies_that_are_to_be_kept_are_not_merged(tmp_path):
    try:
        tool = YOSYS.find()
    except ToolError as error:
        pytest.skip(str(error))
    (tmp_path / "design.il").write_text(rtlil.convert(Copies(), name="shell", emit_src=False))
    script = f"read_rtlil design.il; {COPIES}; synth_ecp5 -top shell; select -list t:TRELLIS_FF"
    run(tool, ("-p", f"{script} -write found"), folder=tmp_path)
    found = (tmp_path / "found").read_text().splitlines()
    registers = Counter(line.split("/")[1].split("_")[0].rstrip("0123456789") for line in found)
    assert registers == {"kept": BITS * COUNT, "merged": BITS, "cleared": BITS * COUNT}
