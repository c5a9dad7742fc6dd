# SPDX-License-Identifier: Apache-2.0
"""In the simulator: the sparse engine with agents on every stream, against its plain loops."""

import cocotb
import numpy as np
from cocotb.triggers import FallingEdge

from gcnloom_hw.aggregate.drain import DRAIN_WORK
from gcnloom_hw.aggregate.engine import AGGREGATE_WORK
from gcnloom_hw.control.tokens import SETTLE
from gcnloom_hw.layout import Shapes
from gcnloom_sim.bench.checker import Checker
from gcnloom_sim.bench.ports import pack
from gcnloom_sim.bench.testbench import Testbench
from tests.hw.group_writes import group_writes
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
    config, shapes = bench.config, Shapes(bench.config)
    rng = np.random.default_rng(bench.seed)
    edges, operands = bench.source("edge_writes"), bench.source("operand_writes")
    commands = bench.source("aggregates")
    for work in works:
        beats, rows = enumerate(work.edges, work.base), work.operands.items()
        for write in group_writes(list(beats), config.edge_group, rng):
            edges.offer(pack(shapes.edge_write, write))
        for write in group_writes(list(rows), config.vector_group, rng, bank=5):
            operands.offer(pack(shapes.vector_write, write))
        await edges.drained()
        await operands.drained()
        await order.reach("ended", work.after)
        commands.offer(pack(AGGREGATE_WORK, work.command(SIGNAL)))
    await order.reach("signalled", len(works))


async def drain(bench, order, works):
    """Write each command's order; offer it when tokens would let it pass."""
    config, shapes = bench.config, Shapes(bench.config)
    rng = np.random.default_rng(bench.seed)
    writes, commands = bench.source("order_writes"), bench.source("drains")
    for work in works:
        entries = list(enumerate(work.entries, work.base))
        for write in group_writes(entries, config.order_group, rng):
            writes.offer(pack(shapes.order_write, write))
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
