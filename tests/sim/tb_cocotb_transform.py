# SPDX-License-Identifier: Apache-2.0
"""In the simulator: the dense engine with agents on every stream, against matrix products."""

import cocotb
import numpy as np

from gcnloom_hw.layout import Shapes
from gcnloom_hw.transform.control import TRANSFORM_WORK
from gcnloom_sim.bench.checker import Checker
from gcnloom_sim.bench.ports import pack
from gcnloom_sim.bench.testbench import Testbench
from tests.hw.test_transform import Reference, operands, random_commands, row_writes

MICROSECONDS = 500
COMMANDS = 60


def fill(bench, source, rows):
    """Offer every vector of an operand memory."""
    shape = Shapes(bench.config).vector_write
    for write in row_writes(bench.config, rows, np.random.default_rng(bench.seed)):
        source.offer(pack(shape, write))


@cocotb.test()
async def the_engine_emits_the_vectors_of_matrix_products(dut):
    bench = Testbench(dut)
    rng = np.random.default_rng(bench.seed)
    left, right = operands(bench.config, rng)
    work = random_commands(bench.config, rng, COMMANDS)
    reference = Reference(bench.config, left, right)
    beats = Shapes(bench.config).engine_sums
    await bench.start()

    def seen(packet):
        beat = beats.from_bits(packet)
        return (beat.emit, beat.last, list(beat.sums) if beat.emit else None)

    expected = [vector for command in work for vector in reference.run(command)]
    checker = Checker("sums", expected, seen)
    bench.sink("sums", checker)
    commands = bench.source("commands")
    writers = [bench.source("left_writes"), bench.source("right_writes")]
    for source, rows in zip(writers, (left, right), strict=True):
        fill(bench, source, rows)
    for source in writers:
        await source.drained()
    for command in work:
        commands.offer(pack(TRANSFORM_WORK, command))
    await checker.complete(MICROSECONDS)
    await bench.until(dut.idle, limit=50)
