# SPDX-License-Identifier: Apache-2.0
"""A program run from any device memory leaves there what it leaves on the model."""

from dataclasses import replace

import numpy as np
from amaranth import Module
from amaranth.lib import wiring
from amaranth.sim import Simulator

from gcnloom_hw.accelerator import Accelerator
from gcnloom_hw.dram.config import SdramConfig
from gcnloom_hw.dram.controller import SdramController
from gcnloom_hw.dram.part import PARTS
from gcnloom_hw.memory.axi import Axi4Config
from gcnloom_hw.memory.block_ram import BlockRamMemory
from gcnloom_hw.top import Axi4Top
from gcnloom_sim.model import Model
from gcnloom_sim.random_programs import MEMORY_BYTES, random_program
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.registers import REGISTERS
from tests.hw.axi_memory import AxiMemory
from tests.hw.sdram_chip import DATA_SHEETS, SdramChip
from tests.hw.sdram_traffic import PINS

BYTES = 2 * MEMORY_BYTES
LIMIT = 20_000
CONFIG = AcceleratorConfig.from_toml("smallest")
SEED = 3
PART = "MT48LC16M16A2"


def program():
    """Memory before and after the program, and what the registers have to say."""
    before, commands = random_program(CONFIG, np.random.default_rng(SEED), commands=25)
    image = before + commands.to_bytes()
    image += bytes(BYTES - len(image))
    model = Model(CONFIG, BYTES // CONFIG.memory_bytes)
    model.write(0, image)
    run = {"program_address": MEMORY_BYTES // CONFIG.memory_bytes}
    run |= {"program_count": len(commands), "seed": SEED, "step": 7}
    model.run(*run.values())
    return image, model.read(0, BYTES // CONFIG.memory_bytes), run


def execute(design, accelerator, run, inputs, outputs, step):
    """Start a program; go on until it is over and its last writes have arrived."""

    async def bench(ctx):
        async def clock():
            _, _, *values = await ctx.tick().sample(*outputs.values())
            for name, value in step(dict(zip(outputs, values, strict=True))).items():
                ctx.set(inputs[name], value)

        for name, value in [*run.items(), ("control", 1)]:
            ctx.set(accelerator.register_address, REGISTERS[name].address)
            ctx.set(accelerator.register_write_data, value)
            ctx.set(accelerator.register_write, 1)
            await clock()
        ctx.set(accelerator.register_write, 0)
        for _ in range(LIMIT):
            await clock()
            if not ctx.get(accelerator.running):
                break
        assert not ctx.get(accelerator.running), f"still running after {LIMIT} clocks"
        for _ in range(300):
            await clock()

    simulator = Simulator(design)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()


def test_from_block_ram():
    before, after, run = program()
    size = CONFIG.memory_bytes
    starts = range(0, BYTES, size)
    words = [int.from_bytes(before[start : start + size], "little") for start in starts]
    # The words that it writes, as they are accepted, are what it then holds.
    memory = BlockRamMemory(memory_bytes=size, words=len(words), init=words)
    m = Module()
    m.submodules.accelerator = accelerator = Accelerator(CONFIG)
    m.submodules.memory = memory
    for name in ("addresses", "answers", "writes"):
        ours, theirs = getattr(accelerator, name), getattr(memory, name)
        wiring.connect(m, accelerator=ours, memory=theirs)
    found = bytearray(before)
    writes = memory.writes
    outputs = {"valid": writes.valid, "request": writes.payload}

    def step(seen):
        request = seen["request"]
        for byte in range(size) if seen["valid"] else ():
            if request.mask >> byte & 1:
                found[request.address * size + byte] = request.data >> 8 * byte & 0xFF
        return {}

    execute(m, accelerator, run, {}, outputs, step)
    assert bytes(found) == after != before


def test_from_sdram():
    before, after, run = program()
    part = replace(PARTS[PART], start_ns=1000.0)
    config = SdramConfig(part=part, clocks=part.clocks(100e6), memory_bytes=CONFIG.memory_bytes)
    chip = SdramChip(replace(DATA_SHEETS[PART], power_up=1000.0), 10.0)
    # Columns of 16 bits, then banks, then rows.
    halves = np.frombuffer(before, dtype="<u2").tolist()
    places = [(n >> 9 & 3, n >> 11, n & 511) for n in range(len(halves))]
    chip.cells |= dict(zip(places, halves, strict=True))
    m = Module()
    m.submodules.accelerator = accelerator = Accelerator(CONFIG)
    m.submodules.memory = memory = SdramController(config)
    for name in ("addresses", "answers", "writes"):
        ours, theirs = getattr(accelerator, name), getattr(memory, name)
        wiring.connect(m, accelerator=ours, memory=theirs)
    outputs = {name: getattr(memory.pins, name) for name in PINS}
    inputs = {"dq_i": memory.pins.dq_i}
    execute(m, accelerator, run, inputs, outputs, lambda pins: {"dq_i": chip.clock(pins)})
    found = np.array([chip.cells[place] for place in places], dtype="<u2").tobytes()
    assert found == after != before


def test_over_axi():
    before, after, run = program()
    size = CONFIG.memory_bytes
    top = Axi4Top(CONFIG, Axi4Config(memory_bytes=size))
    rng = np.random.default_rng(SEED)
    memory = AxiMemory(size, lambda: rng.random() < 0.2)
    words = [before[place : place + size] for place in range(0, BYTES, size)]
    memory.cells |= {n * size: int.from_bytes(word, "little") for n, word in enumerate(words)}
    ports = {
        name.removeprefix("m_axi_"): (getattr(top, name), member.flow)
        for name, member in top.signature.members.items()
        if name.startswith("m_axi_")
    }
    outputs = {name: port for name, (port, flow) in ports.items() if flow == wiring.Out}
    inputs = {name: port for name, (port, flow) in ports.items() if flow == wiring.In}
    execute(top, top, run, inputs, outputs, memory.step)
    found = b"".join(
        memory.cells[place].to_bytes(size, "little") for place in range(0, BYTES, size)
    )
    assert found == after != before
