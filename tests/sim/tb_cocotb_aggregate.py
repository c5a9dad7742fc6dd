# SPDX-License-Identifier: Apache-2.0
"""In the simulator: the sparse engine with agents on every stream, against its plain loops."""

import cocotb

from gcnloom_hw.aggregate.engine import AGGREGATE_WORK
from gcnloom_hw.layout import Shapes
from gcnloom_sim.bench.checker import Checker
from gcnloom_sim.bench.ports import stream_ports
from gcnloom_sim.bench.stalls import named_stalls
from gcnloom_sim.bench.start import settings, start_clock
from gcnloom_sim.bench.stream import Sink, Source
from gcnloom_spec.config import AcceleratorConfig
from tests.hw.tb_aggregate import Workload, expected

MICROSECONDS = 500


def bits(shape, value):
    return shape.const(value).as_bits()


def seen(config):
    """From a packet of sums to a beat as :func:`expected` tells it."""
    shape = Shapes(config).engine_sums

    def view(packet):
        beat = shape.from_bits(packet)
        return (beat.emit, beat.last, list(beat.sums) if beat.emit else None)

    return view


@cocotb.test()
async def the_engine_emits_what_the_loops_say(dut):
    told = settings()
    config, seed = AcceleratorConfig.from_mapping(told["config"]), told["seed"]
    works = Workload(config, seed).program(pairs=10, length=30)
    shapes = Shapes(config)
    await start_clock(dut)

    def stalls(number):
        return named_stalls(told["stalls"], seed * 10 + number)

    edges, order, operands, commands = (
        Source(stream_ports(dut, name), dut.clk, stalls(number))
        for number, name in enumerate(("edge_writes", "order_writes", "operand_writes", "commands"))
    )
    checker = Checker("sums", expected(config, works), seen(config))
    Sink(stream_ports(dut, "sums"), dut.clk, stalls(9), checker)
    for work in works:
        # Tables and operands of a command arrive while those before it run.
        for index, beat in enumerate(work.edges):
            data = {"address": work.base + index, "data": beat}
            edges.offer(bits(shapes.edge_write, data))
        for index, entry in enumerate(work.entries):
            data = {"address": work.base + index, "data": entry}
            order.offer(bits(shapes.order_write, data))
        for address, row in work.operands.items():
            data = {"address": address, "bank": 5, "data": row}
            operands.offer(bits(shapes.vector_write, data))
        for source in (edges, order, operands):
            await source.send([])
        command = {name: getattr(work, name) for name in ("drain", "base", "count", "operand_base")}
        commands.offer(bits(AGGREGATE_WORK, command))
    await checker.complete(MICROSECONDS)
