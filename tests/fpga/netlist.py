# SPDX-License-Identifier: Apache-2.0
"""A component and its netlists, stepped through the same inputs."""

import ctypes
from pathlib import Path

import numpy as np
from amaranth import Cat, Module, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator

from gcnloom_fpga.netlists import verilog_netlist
from gcnloom_sim.netlist import netlist_build
from gcnloom_sim.verilate import shared_library

HARNESS = Path(__file__).with_name("steps.cpp")


class Steps(wiring.Component):
    """A component whose inputs are one input and whose outputs are one output."""

    def __init__(self, design):
        self._design = design
        self._inputs = dict(self._ports(In))
        self._outputs = dict(self._ports(Out))
        bits = [sum(map(len, ports.values())) for ports in (self._inputs, self._outputs)]
        super().__init__({"i": In(bits[0]), "o": Out(bits[1])})

    def _ports(self, flow):
        for path, member, value in self._design.signature.flatten(self._design):
            if member.flow == flow:
                yield ".".join(map(str, path)), Value.cast(value)

    def elaborate(self, platform):
        m = Module()
        m.submodules.design = self._design
        m.d.comb += [
            Cat(*self._inputs.values()).eq(self.i),
            self.o.eq(Cat(*self._outputs.values())),
        ]
        return m

    def packed(self, values):
        """One number for inputs by their names; those not named are zero."""
        number, offset = 0, 0
        for name, port in self._inputs.items():
            number |= (values.pop(name, 0) & (1 << len(port)) - 1) << offset
            offset += len(port)
        if values:
            raise ValueError(f"no such inputs: {', '.join(values)}; give {[*self._inputs]}")
        return number

    def unpacked(self, number):
        """Outputs by their names."""
        values, offset = {}, 0
        for name, port in self._outputs.items():
            values[name] = number >> offset & (1 << len(port)) - 1
            offset += len(port)
        return values


def simulated(wrapped, steps):
    """Outputs before every clock edge, by Amaranth's simulator."""
    seen = []

    async def bench(ctx):
        for step in steps:
            ctx.set(wrapped.i, wrapped.packed(dict(step)))
            seen.append(wrapped.unpacked(ctx.get(wrapped.o)))
            await ctx.tick()

    simulator = Simulator(wrapped)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return seen


def synthesised(wrapped, family, **options):
    """The netlist of a component in its wrapper."""
    return verilog_netlist(wrapped, family, name="steps", **options)


def stepped(wrapped, family, netlist, steps):
    """Outputs before every clock edge, by the netlist with models of its cells."""
    build = netlist_build(netlist, family, top="steps", harness=HARNESS, optimise="-O0")
    library = ctypes.CDLL(str(shared_library(build, "steps")))
    # A port of up to 64 bits is a power of two of bytes, a wider one has words of four.
    sizes = [_bytes(len(port)) for port in (wrapped.i, wrapped.o)]
    given = b"".join(wrapped.packed(dict(step)).to_bytes(sizes[0], "little") for step in steps)
    found = np.zeros((len(steps), sizes[1]), dtype=np.uint8)
    library.steps.argtypes = [ctypes.c_char_p, ctypes.c_void_p, *[ctypes.c_uint64] * 3]
    library.steps(given, found.ctypes.data, len(steps), *sizes)
    return [wrapped.unpacked(int.from_bytes(row.tobytes(), "little")) for row in found]


def _bytes(bits):
    return next((size for size in (1, 2, 4, 8) if bits <= 8 * size), (bits + 31) // 32 * 4)
