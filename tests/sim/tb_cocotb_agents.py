# SPDX-License-Identifier: Apache-2.0
"""In the simulator: agents around a device that can be told to break the rules of a stream."""

import cocotb
from amaranth import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gcnloom_sim.bench.checker import Checker
from gcnloom_sim.bench.testbench import Testbench

VALUES = [*range(1, 40)]
MICROSECONDS = 20


class Register(wiring.Component):
    """Holds one byte; with `impatient` its offer grows each cycle until it is taken."""

    i: In(stream.Signature(8))
    o: Out(stream.Signature(8))
    impatient: In(1)

    def __init__(self, config):
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        held, full = Signal(8), Signal()
        m.d.comb += [self.o.valid.eq(full), self.o.payload.eq(held)]
        m.d.comb += self.i.ready.eq(~full | self.o.ready)
        with m.If(self.i.ready):
            m.d.sync += [full.eq(self.i.valid), held.eq(self.i.payload)]
        with m.Elif(self.impatient):
            m.d.sync += held.eq(held + 64)
        return m


@cocotb.test()
async def what_goes_in_comes_out(dut):
    bench = Testbench(dut)
    dut.impatient.value = bench.told["fault"] == "impatient"
    expected = {"wrong": [*VALUES[:-1], 0], "missing": [*VALUES, 40], "surplus": VALUES[:-1]}
    await bench.start()
    checker = Checker("o", expected.get(bench.told["fault"], VALUES))
    bench.sink("o", checker)
    source = bench.source("i")
    for value in VALUES:
        source.offer(value)
    await checker.complete(MICROSECONDS)
    await source.drained()
    await bench.cycles(50)
