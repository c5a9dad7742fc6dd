# SPDX-License-Identifier: Apache-2.0
"""In the simulator: the whole accelerator on a stalling memory, against the bit-exact model."""

import cocotb
import numpy as np

from gcnloom_sim.bench.memory import MemoryAgent
from gcnloom_sim.bench.registers import RegisterBus
from gcnloom_sim.bench.testbench import Testbench
from gcnloom_sim.model import Model
from gcnloom_sim.random_programs import MEMORY_BYTES, random_program
from gcnloom_spec.registers import COUNTERS, IDENTITY, STATISTICS

BYTES = 2 * MEMORY_BYTES
LIMIT = 60_000
TIMING = ("cycles", "_active", "_stalled", "_wait_")
COUNTED = [name for name in COUNTERS if not any(part in name for part in TIMING)]


async def execute(bench, bus, run):
    """Start a program and wait for its end."""
    for name, value in run.items():
        await bus.write(name, value)
    await bus.write("control", 1)
    for _ in range(LIMIT):
        await bench.cycles(1)
        if not bench.dut.running.value:
            break
    assert not bench.dut.running.value, f"still running after {LIMIT} cycles"
    assert await bus.read("status") == 0


async def statistics(bus):
    envelopes, saturations = [], []
    for tensor in range(STATISTICS):
        await bus.write("statistic", tensor)
        await bus.read("identity")
        high, low = await bus.read("envelope_high"), await bus.read("envelope_low")
        envelopes.append(high << 32 | low)
        saturations.append(await bus.read("saturations"))
    return envelopes, saturations


@cocotb.test()
async def random_programs_leave_what_they_leave_on_the_model(dut):
    bench = Testbench(dut)
    config, memory = bench.config, bytearray(BYTES)
    model = Model(config, BYTES // config.memory_bytes)
    latency = bench.told["latency"]
    MemoryAgent(dut, memory, config.memory_bytes, latency=latency, stalls=bench.stalls)
    bus = RegisterBus(dut)
    await bench.start()
    assert await bus.read("identity") == IDENTITY
    # One device runs them all, so that what a program leaves on chip meets the next one.
    for seed in range(bench.seed, bench.seed + bench.told["programs"]):
        before, program = random_program(config, np.random.default_rng(seed))
        image = before + program.to_bytes()
        memory[: len(image)] = image
        model.write(0, image)
        run = {"program_address": MEMORY_BYTES // config.memory_bytes}
        run |= {"program_count": len(program), "seed": seed, "step": seed ^ 0x5A5A}
        model.run(*run.values())
        await execute(bench, bus, run)
        after = np.frombuffer(model.read(0, BYTES // config.memory_bytes), dtype=np.uint8)
        wrong = np.flatnonzero(np.frombuffer(memory, dtype=np.uint8) != after)
        assert not len(wrong), f"program seed {seed}: {len(wrong)} bytes, first {wrong[0]}"
        envelopes, saturations = model.statistics()
        assert await statistics(bus) == (envelopes.tolist(), saturations.tolist()), seed
        counted = {name: await bus.read(name) for name in COUNTED}
        assert counted == {name: model.counters()[name] for name in COUNTED}, seed
