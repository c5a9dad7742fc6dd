# SPDX-License-Identifier: Apache-2.0
"""Registers moved into block RAMs and multipliers: which ones, and that nothing else changes."""

import json
import random

import pytest
from amaranth import Cat, Module, Signal, signed, unsigned
from amaranth.back import rtlil
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator

from gcnloom_fpga.pack import pack_registers
from gcnloom_fpga.synth import COLLISIONS
from gcnloom_fpga.tools import run
from gcnloom_spec.toolchain import YOSYS, ToolError
from tests.fpga.netlist import Netlist

INPUTS = {"a": 9, "b": 9, "address": 10, "write_address": 10, "write": 1}
OUTPUTS = ("deep", "shallow", "cleared", "stored")


class Pipelines(wiring.Component):
    """A memory with a register behind it, and products with registers before, behind or both."""

    a: In(signed(9))
    b: In(signed(9))
    address: In(10)
    write_address: In(10)
    write: In(1)
    deep: Out(signed(18))
    shallow: Out(signed(18))
    cleared: Out(signed(18))
    stored: Out(18)

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory = memory = Memory(
            shape=unsigned(18), depth=1024, init=[], attrs={"no_rw_check": 1}
        )
        write, read = memory.write_port(), memory.read_port()
        a, b, deep, shallow = (
            Signal(signed(bits), name=name, reset_less=True)
            for name, bits in (("a", 9), ("b", 9), ("deep", 18), ("shallow", 18))
        )
        stored = Signal(18, reset_less=True)
        m.d.comb += [write.en.eq(self.write), write.addr.eq(self.write_address)]
        m.d.comb += [write.data.eq(Cat(b, a)), read.addr.eq(self.address)]
        m.d.sync += [a.eq(self.a), b.eq(self.b), stored.eq(read.data)]
        m.d.sync += [deep.eq(a * b), shallow.eq(self.a * self.b)]
        m.d.comb += [self.deep.eq(deep), self.shallow.eq(shallow), self.stored.eq(stored)]
        with m.If(self.write):
            m.d.sync += self.cleared.eq(0)
        with m.Else():
            m.d.sync += self.cleared.eq(self.a * a)
        return m


def _missing(program):
    try:
        program.find()
    except ToolError:
        return True
    return False


def _stimuli(count):
    rng = random.Random(5)
    for _ in range(count):
        # Few addresses, so that what was written is read; never both at once.
        address = rng.randrange(6)
        values = {name: rng.getrandbits(bits) for name, bits in INPUTS.items()}
        yield {**values, "address": address, "write_address": (address + rng.randrange(1, 6)) % 6}


def _simulated(steps):
    design, seen = Pipelines(), []

    async def bench(ctx):
        for step in steps:
            for name, value in step.items():
                port = getattr(design, name)
                ctx.set(port, value - (value >> 8 << 9) if name in "ab" else value)
            await ctx.tick()
            seen.append([ctx.get(getattr(design, name)) % (1 << 18) for name in OUTPUTS])

    simulator = Simulator(design)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return seen


def _stepped(module, steps):
    netlist, seen = Netlist(module), []
    for step in steps:
        netlist.set(**step)
        netlist.tick()
        seen.append([netlist.get(name) for name in OUTPUTS])
    return seen


@pytest.mark.synth
@pytest.mark.skipif(_missing(YOSYS), reason="yosys is not installed")
def test_a_packed_netlist_computes_what_the_design_does(tmp_path):
    text = rtlil.convert(Pipelines(), name="pipelines", emit_src=False)
    (tmp_path / "design.il").write_text(text, encoding="utf-8")
    script = (
        f"read_rtlil design.il; {COLLISIONS}; synth_ecp5 -top pipelines; write_json netlist.json"
    )
    run(YOSYS.find(), ("-q", "-p", script), folder=tmp_path)
    design = json.loads((tmp_path / "netlist.json").read_text(encoding="utf-8"))
    module = design["modules"]["pipelines"]
    before = len(module["cells"])
    steps = list(_stimuli(200))
    expected = _simulated(steps)
    assert _stepped(module, steps) == expected
    packed = pack_registers(module)
    assert packed == {"memory output": 1, "product": 2, "operands": 1}
    # The stored word, two products; the operands' registers still feed the memory.
    assert len(module["cells"]) == before - 3 * 18
    assert _stepped(module, steps) == expected


def _register(**changed):
    cell = {
        "type": "TRELLIS_FF",
        "parameters": {"CEMUX": "1 ", "CLKMUX": "CLK", "LSRMUX": "LSR", "REGSET": "RESET"},
        "connections": {"CLK": [1], "DI": [2], "CE": ["1"], "LSR": ["0"], "Q": [3]},
        "port_directions": dict.fromkeys(("CLK", "DI", "CE", "LSR"), "input") | {"Q": "output"},
    }
    return cell | {part: cell[part] | more for part, more in changed.items()}


def _memory_and(**registers):
    memory = {
        "type": "DP16KD",
        "parameters": {"REGMODE_A": "NOREG", "REGMODE_B": "NOREG"},
        "connections": {"CLKA": [1], "CLKB": [1], "DOB0": [2], "DOA0": [8]},
        "port_directions": {"CLKA": "input", "CLKB": "input", "DOB0": "output", "DOA0": "output"},
    }
    return {"cells": {"memory": memory, **registers}}


def test_a_plain_register_behind_a_memory_moves_into_it():
    module = _memory_and(register=_register())
    assert pack_registers(module)["memory output"] == 1
    assert list(module["cells"]) == ["memory"]
    memory = module["cells"]["memory"]
    assert memory["connections"]["DOB0"] == [3]
    assert memory["parameters"] == {"REGMODE_A": "NOREG", "REGMODE_B": "OUTREG"}


@pytest.mark.parametrize(
    "registers",
    [
        {"cleared": _register(connections={"LSR": [7]})},
        {"enabled": _register(parameters={"CEMUX": "CE"}, connections={"CE": [7]})},
        {"set": _register(parameters={"REGSET": "SET"})},
        {"clocked": _register(connections={"CLK": [7]})},
        {"falling": _register(parameters={"CLKMUX": "INV"})},
        {"one": _register(), "other": _register(connections={"Q": [4]})},
    ],
    ids=lambda registers: next(iter(registers)),
)
def test_other_registers_stay(registers):
    module = _memory_and(**registers)
    assert pack_registers(module)["memory output"] == 0
    assert set(module["cells"]) == {"memory", *registers}
