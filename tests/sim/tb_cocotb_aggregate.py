# SPDX-License-Identifier: Apache-2.0
"""In the simulator: the sparse engine with agents on every stream, against its plain loops."""

import cocotb
from cocotb.triggers import FallingEdge

from gcnloom_hw.aggregate.drain import DRAIN_WORK
from gcnloom_hw.aggregate.engine import AGGREGATE_WORK
from gcnloom_hw.control.tokens import SETTLE
from gcnloom_hw.layout import Shapes
from gcnloom_sim.bench.checker import Checker
from gcnloom_sim.bench.ports import pack
from gcnloom_sim.bench.testbench import Testbench
from tests.hw.sparse_work import AggregateWork, DrainWork, Workload, expected

MICROSECONDS = 500
SIGNAL = 0b10101


class Order:
    """Knows which aggregates have signalled and which drains have ended."""

    def __init__(self, dut, shapes):
        self.dut, self._shapes = dut, shapes
        self.signalled = self.ended = 0
        cocotb.start_soon(self._watch())

    def seen(self, packet):
        """View a beat of sums; the last of a drain is its end."""
        beat = self._shapes.engine_sums.from_bits(packet)
        self.ended += beat.last
        return (beat.emit, beat.last, list(beat.sums) if beat.emit else None)

    async def _watch(self):
        while True:
            await FallingEdge(self.dut.clk)
            assert not self.dut.hazard.value
            signals = int(self.dut.signals.value)
            assert signals in (0, SIGNAL)
            self.signalled += signals == SIGNAL

    async def reach(self, name, count):
        """Wait until `signalled` or `ended` has come to `count`."""
        while getattr(self, name) < count:
            await FallingEdge(self.dut.clk)


async def aggregate(bench, order, works):
    """Write each command's edges and operands while those before it run."""
    shapes = Shapes(bench.config)
    edges, operands = bench.source("edge_writes"), bench.source("operand_writes")
    commands = bench.source("aggregates")
    for work in works:
        for index, beat in enumerate(work.edges):
            edges.offer(pack(shapes.edge_write, {"address": work.base + index, "data": beat}))
        for address, row in work.operands.items():
            data = {"address": address, "bank": 5, "data": row}
            operands.offer(pack(shapes.vector_write, data))
        await edges.drained()
        await operands.drained()
        await order.reach("ended", work.after)
        commands.offer(pack(AGGREGATE_WORK, work.command(SIGNAL)))
    await order.reach("signalled", len(works))


async def drain(bench, order, works):
    """Write each command's order; offer it when tokens would let it pass."""
    shapes = Shapes(bench.config)
    writes, commands = bench.source("order_writes"), bench.source("drains")
    for work in works:
        for index, entry in enumerate(work.entries):
            writes.offer(pack(shapes.order_write, {"address": work.base + index, "data": entry}))
        await writes.drained()
        await order.reach("signalled", work.after)
        commands.offer(pack(DRAIN_WORK, work.command()), after=SETTLE)


@cocotb.test()
async def the_engine_emits_what_the_loops_say(dut):
    bench = Testbench(dut)
    works = Workload(bench.config, bench.seed).program(rounds=14, length=24)
    await bench.start()
    order = Order(dut, Shapes(bench.config))
    checker = Checker("sums", expected(bench.config, works), order.seen)
    bench.sink("sums", checker)
    aggregates = [work for work in works if isinstance(work, AggregateWork)]
    drains = [work for work in works if isinstance(work, DrainWork)]
    tasks = [
        cocotb.start_soon(aggregate(bench, order, aggregates)),
        cocotb.start_soon(drain(bench, order, drains)),
    ]
    await checker.complete(MICROSECONDS)
    for task in tasks:
        await task
    await bench.until(dut.aggregate_idle, limit=50)
    await bench.until(dut.drain_idle, limit=50)
