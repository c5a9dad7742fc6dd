# SPDX-License-Identifier: Apache-2.0
"""In the simulator: the epilogue with agents on every stream, against the definition's loop."""

from dataclasses import asdict

import cocotb
import numpy as np

from gcnloom_hw.epilogue.epilogue import epilogue_output
from gcnloom_hw.epilogue.sequence import shift_write
from gcnloom_hw.layout import Shapes
from gcnloom_sim.bench.checker import Checker
from gcnloom_sim.bench.ports import pack
from gcnloom_sim.bench.testbench import Testbench
from gcnloom_spec.registers import STATISTICS
from tests.hw.tb_epilogue import SEED, SHIFTS, STEP, mask_writes
from tests.hw.test_epilogue import expected, nonzero, random_commands, random_masks

MICROSECONDS = 500
COMMANDS = 60
STATISTICS_CYCLES = 4


def offer_sums(bench, source, commands):
    """Offer each command's sums; a command without any ends with one beat."""
    shape = Shapes(bench.config).engine_sums
    waste = [(1 << (bench.config.sum_width - 1)) - 1] * bench.config.lanes
    for command in commands:
        rows = command.sums.tolist()
        for index, row in enumerate(rows or [waste]):
            beat = {"sums": row, "emit": int(bool(rows)), "last": int(index >= len(rows) - 1)}
            source.offer(pack(shape, beat))


async def read_statistics(bench):
    found = {}
    for tensor in range(STATISTICS):
        bench.dut.statistic.value = tensor
        await bench.cycles(STATISTICS_CYCLES)
        found[tensor] = (int(bench.dut.envelope.value), int(bench.dut.saturations.value))
    return found


@cocotb.test()
async def vectors_and_statistics_equal_the_definition(dut):
    bench = Testbench(dut)
    rng = np.random.default_rng(bench.seed)
    masks = random_masks(bench.config, rng)
    commands = random_commands(bench.config, rng, COMMANDS)
    truth = expected(bench.config, commands, masks)
    shapes, output = Shapes(bench.config), epilogue_output(bench.config)
    dut.seed.value, dut.step.value, dut.clear.value = SEED, STEP, 0
    await bench.start()
    for tensor, shift in SHIFTS.items():
        dut.shift.value = pack(shift_write(), {"enable": 1, "tensor": tensor, "shift": shift})
        await bench.cycles(1)
    dut.shift.value = 0

    def seen(packet):
        beat = output.from_bits(packet)
        if not beat.emit:
            return {name: beat[name] for name in ("emit", "last", "signals")}
        return {name: beat[name] for name in output.members} | {"data": list(beat.data)}

    checker = Checker("vectors", truth.beats, seen)
    bench.sink("vectors", checker)
    writes = bench.source("mask_writes")
    emissions, sums = bench.source("emissions"), bench.source("sums")
    for write in mask_writes(bench.config, masks, rng):
        writes.offer(pack(shapes.mask_write, write))
    await writes.drained()
    await bench.until(dut.idle, limit=100)
    for command in commands:
        fields = asdict(command.emission) | {"signals": command.signals}
        emissions.offer(pack(shapes.emission, fields))
    offer_sums(bench, sums, commands)
    await checker.complete(MICROSECONDS)
    await bench.until(dut.idle, limit=50)
    assert nonzero(await read_statistics(bench)) == nonzero(truth.statistics)
