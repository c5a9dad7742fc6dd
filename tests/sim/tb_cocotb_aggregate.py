# SPDX-License-Identifier: Apache-2.0
"""In the simulator: the sparse engine with agents on every stream, against its plain loops."""

import cocotb

from gcnloom_hw.aggregate.engine import AGGREGATE_WORK
from gcnloom_hw.layout import Shapes
from gcnloom_sim.bench.checker import Checker
from gcnloom_sim.bench.ports import pack
from gcnloom_sim.bench.testbench import Testbench
from tests.hw.tb_aggregate import Workload, expected

MICROSECONDS = 500
FIELDS = ("drain", "base", "count", "operand_base")


@cocotb.test()
async def the_engine_emits_what_the_loops_say(dut):
    bench = Testbench(dut)
    shapes = Shapes(bench.config)
    works = Workload(bench.config, bench.seed).program(pairs=10, length=30)
    await bench.start()

    def seen(packet):
        beat = shapes.engine_sums.from_bits(packet)
        return (beat.emit, beat.last, list(beat.sums) if beat.emit else None)

    checker = Checker("sums", expected(bench.config, works), seen)
    bench.sink("sums", checker)
    edges, order = bench.source("edge_writes"), bench.source("order_writes")
    operands, commands = bench.source("operand_writes"), bench.source("commands")
    for work in works:
        # Tables and operands of a command arrive while those before it run.
        for index, beat in enumerate(work.edges):
            data = {"address": work.base + index, "data": beat}
            edges.offer(pack(shapes.edge_write, data))
        for index, entry in enumerate(work.entries):
            data = {"address": work.base + index, "data": entry}
            order.offer(pack(shapes.order_write, data))
        for address, row in work.operands.items():
            data = {"address": address, "bank": 5, "data": row}
            operands.offer(pack(shapes.vector_write, data))
        for source in (edges, order, operands):
            await source.drained()
        commands.offer(pack(AGGREGATE_WORK, {name: getattr(work, name) for name in FIELDS}))
    await checker.complete(MICROSECONDS)
    await bench.until(dut.idle, limit=50)
