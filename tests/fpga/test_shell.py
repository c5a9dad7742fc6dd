# SPDX-License-Identifier: Apache-2.0
"""The shell and the build flow, on a component small enough to route in seconds."""

import io
import json
import random
from pathlib import Path

import pytest
from amaranth import Module, Signal, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator

from gcnloom_fpga import route, synth, tools
from gcnloom_fpga.families.ecp5 import Ecp5
from gcnloom_fpga.families.family import counted
from gcnloom_fpga.flow.progress import Narrator
from gcnloom_fpga.flow.routing import critical_path, utilisation
from gcnloom_fpga.part import LFE5U_85F
from gcnloom_fpga.report import report, table
from gcnloom_fpga.shell import Shell
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.toolchain import NEXTPNR, YOSYS, Tool, ToolError

QUIET = Narrator(io.StringIO(), quiet=True)


class Multiplier(wiring.Component):
    """One multiplier, one memory: every resource that a report counts."""

    a: In(18)
    b: In(18)
    address: In(10)
    product: Out(36)
    pair: Out(data.ArrayLayout(unsigned(9), 2))

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory = memory = Memory(
            shape=unsigned(18), depth=1024, init=[], attrs={"no_rw_check": 1}
        )
        write, read = memory.write_port(), memory.read_port()
        stored = Signal(18, reset_less=True)
        m.d.comb += [write.addr.eq(self.a), write.data.eq(self.b), write.en.eq(1)]
        m.d.comb += read.addr.eq(self.address)
        m.d.sync += [self.product.eq(self.a * self.b), stored.eq(read.data)]
        m.d.comb += self.pair.as_value().eq(stored)
        return m


class Wires(wiring.Component):
    """Outputs equal inputs, so that the shell's parity can be predicted."""

    def __init__(self, width):
        super().__init__({"i": In(width), "o": Out(width)})

    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.o.eq(self.i)
        return m


@pytest.mark.parametrize(("width", "levels"), [(1, 0), (4, 1), (5, 2), (70, 4)])
def test_folded_bit_is_the_parity_of_the_outputs(width, levels):
    rng = random.Random(width)
    bits = [rng.randrange(2) for _ in range(3 * width + 20)]
    shell = Shell(Wires(width))
    seen = []

    async def bench(ctx):
        for bit in bits:
            ctx.set(shell.serial, bit)
            ctx.set(shell.clk, 0)
            await ctx.delay(1e-6)
            ctx.set(shell.clk, 1)
            await ctx.delay(1e-6)
            seen.append(ctx.get(shell.folded))

    simulator = Simulator(shell)
    simulator.add_testbench(bench)
    simulator.run()
    # After edge t the shift register holds the last `width` bits; one edge captures, each
    # level takes one more.
    latency = 1 + levels
    for edge in range(width + latency, len(bits)):
        end = edge - latency + 1
        assert seen[edge] == sum(bits[end - width : end]) % 2


def test_cached_product_is_made_once_and_a_failure_leaves_its_logs_and_is_not_reused(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    calls = []

    def produce(folder):
        calls.append(folder)
        (folder / "product").write_text("made", encoding="utf-8")

    first = tools.cached(("a", "b"), produce)
    assert tools.cached(("a", "b"), produce) == first
    assert tools.cached(("ab",), produce) != first
    assert len(calls) == 2

    def fail(folder):
        (folder / "log").write_text("why", encoding="utf-8")
        raise ToolError(str(folder))

    with pytest.raises(ToolError) as failure:
        tools.cached(("c",), fail)
    assert (Path(str(failure.value)) / "log").read_text(encoding="utf-8") == "why"
    assert tools.cached(("c",), produce) != Path(str(failure.value))
    assert len(calls) == 3


def test_failing_program_is_reported_with_the_tail_of_its_log(tmp_path):
    shell = Tool(command="/bin/sh", origin="PATH", version="0")
    with pytest.raises(ToolError, match=r"(?s)exit code 3; .*sh\.log ends with:\nout of wires"):
        tools.run(shell, ("-c", "echo out of wires; exit 3"), folder=tmp_path)


@pytest.mark.parametrize("working", ["-noabc9", "-lut 4:7"])
def test_synthesis_is_retried_until_yosys_leaves_a_netlist(working, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    fake = tmp_path / "yosys"
    kinds = ["LUT4"] * 3 + ["CCU2C"] * 2
    cells = {str(i): {"type": kind, "connections": {}} for i, kind in enumerate(kinds)}
    design = {"modules": {"shell": {"cells": cells}}}
    fake.write_text(
        "#!/bin/sh\n"
        f'case "$*" in *--version*) echo "Yosys 9.9";; *"{working}"*)\n'
        f"echo '{json.dumps(design)}' > unimproved.json;; esac\n",
        encoding="utf-8",
    )
    fake.chmod(0o755)
    monkeypatch.setenv("YOSYS", str(fake))
    netlist = synth.synthesise(Wires(3), LFE5U_85F, QUIET)
    assert working in netlist.synthesised.passes
    assert netlist.synthesised.used == {"LUT": 7, "FF": 0, "EBR": 0, "DSP": 0}
    assert netlist.shell == {"input_bits": 3, "output_bits": 3}


def test_critical_path_leaves_out_pins_and_adds_up():
    def step(kind, delay, source, target):
        return {"type": kind, "delay": delay, "from": {"cell": source}, "to": {"cell": target}}

    path = [
        step("clk-to-q", 0.5, "x", "x"),
        step("routing", 1.0, "x", "y"),
        step("logic", 0.25, "y", "y"),
        step("routing", 2.0, "y", "z"),
        step("setup", 0.0, "z", "z"),
    ]
    pin = {"from": "<async>", "to": "posedge clk", "path": [step("routing", 9.0, "pin", "x")]}
    inner = {"from": "posedge clk", "to": "posedge clk", "path": path}
    summary = critical_path({"critical_paths": [pin, inner]})
    assert (summary["from"], summary["to"], summary["nanoseconds"]) == ("x", "z", 3.75)
    assert summary["parts"] == {"clk-to-q": 0.5, "logic": 0.25, "routing": 3.0, "setup": 0.0}
    assert summary["logic_levels"] == 1


def test_write_ports_of_lut_memories_are_counted_once():
    # A 16x4 LUT memory: four tables that hold it, two in whose place its write port is.
    cells = {"TRELLIS_COMB": {"used": 6}, "TRELLIS_RAMW": {"used": 1}, "DP16KD": {"used": 3}}
    used = counted(Ecp5.routed_cells, utilisation({"utilization": cells}))
    assert used == {"LUT": 6, "FF": 0, "EBR": 3, "DSP": 0}


def _missing(*programs):
    for program in programs:
        try:
            program.find()
        except ToolError:
            return True
    return False


@pytest.mark.synth
@pytest.mark.skipif(_missing(YOSYS, NEXTPNR), reason="yosys or nextpnr-ecp5 is not installed")
def test_small_component_is_synthesised_routed_and_reported():
    netlist = synth.synthesise(Multiplier(), LFE5U_85F, QUIET)
    # 1024 words of 18 bits are one block RAM; 18 x 18 bits are one multiplier.
    assert (netlist.synthesised.used["EBR"], netlist.synthesised.used["DSP"]) == (1, 1)
    improved = {"memory output": 1, "product": 0, "operands": 0, "reset copies": 0}
    assert netlist.synthesised.improved == improved
    # At least one register per port bit, and the product, which a reset keeps out of its block.
    assert netlist.synthesised.used["FF"] >= 46 + 54 + 36
    routed = route.route(netlist, LFE5U_85F, seed=1, freq=50.0, router="router2")
    assert (routed.used["EBR"], routed.used["DSP"]) == (1, 1)
    # Only this router says how many wires are overused, round by round.
    (log,) = routed.folder.glob("*.log")
    assert "overused=0" in log.read_text(encoding="utf-8")
    assert 20 < routed.fmax < 400
    assert routed.critical["nanoseconds"] == pytest.approx(1000 / routed.fmax, rel=0.05)

    document = report(
        config=AcceleratorConfig.from_toml("smallest"),
        part=LFE5U_85F,
        netlist=netlist,
        routed=routed,
        command="none",
    )
    assert json.loads(json.dumps(document))["used"]["DSP"] == {
        "used": 1,
        "available": 156,
        "percent": 0.6,
    }
    assert "Fmax" in table(document)
