# SPDX-License-Identifier: Apache-2.0
"""Block RAMs are counted as yosys takes them."""

import re
import subprocess
from collections import Counter

import pytest
from amaranth import Module
from amaranth.back import rtlil
from amaranth.lib import wiring

from gcnloom_fpga.flow.synthesis import COLLISIONS
from gcnloom_hw.memory.scratchpad import Scratchpad
from gcnloom_spec.ecp5 import block_rams
from gcnloom_spec.memories import OnChipMemory
from gcnloom_spec.toolchain import YOSYS, ToolError

SIZES = [
    *((1, 256), (8, 160), (8, 256), (9, 112), (9, 128), (25, 64), (36, 513)),
    *((20, 513), (40, 1024), (33, 700), (85, 128), (64, 32), (64, 64), (12, 680)),
]
"""Widths and depths, most of them near where another shape or LUT memory is cheaper."""


class Memories(wiring.Component):
    """A memory of each size."""

    def __init__(self):
        self._memories = {f"m{w}x{d}": Scratchpad(width=w, depth=d) for w, d in SIZES}
        super().__init__(
            {
                f"{name}_{port}": member
                for name, memory in self._memories.items()
                for port, member in memory.signature.members.items()
            }
        )

    def elaborate(self, platform):
        m = Module()
        for name, memory in self._memories.items():
            m.submodules[name] = memory
            for port, member in memory.signature.members.items():
                outer, inner = getattr(self, f"{name}_{port}"), getattr(memory, port)
                m.d.comb += inner.eq(outer) if member.flow is wiring.In else outer.eq(inner)
        return m


@pytest.mark.synth
def test_block_rams_are_those_that_yosys_takes(tmp_path):
    try:
        tool = YOSYS.find()
    except ToolError as error:
        pytest.skip(str(error))
    (tmp_path / "design.il").write_text(rtlil.convert(Memories(), name="shell", emit_src=False))
    script = (
        f"read_rtlil design.il; {COLLISIONS}; synth_ecp5 -top shell -run begin:map_ffram; "
        "tee -o found select -list t:DP16KD t:PDPW16KD"
    )
    subprocess.run([tool.command, "-q", "-p", script], cwd=tmp_path, check=True)
    names = re.findall(r"/m(\d+)x(\d+)\.", (tmp_path / "found").read_text(encoding="utf-8"))
    found = Counter((int(width), int(depth)) for width, depth in names)
    counted = {
        (width, depth): block_rams(OnChipMemory(name="m", width=width, depth=depth, copies=1))
        for width, depth in SIZES
    }
    assert {size: found[size] for size in SIZES} == counted
