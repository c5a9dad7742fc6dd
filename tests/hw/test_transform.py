# SPDX-License-Identifier: Apache-2.0
"""The dense engine against textbook matrix products, vector by vector and cycle by cycle."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from amaranth.back import verilog
from amaranth.sim import Simulator

from gcnloom_hw.transform.control import TRANSFORM_WORK
from gcnloom_hw.transform.engine import TransformEngine
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import Mode
from tests.hw.group_writes import group_writes

WS, OS, PASS = Mode.WEIGHT_STATIONARY, Mode.OUTPUT_STATIONARY, Mode.PASS
SMALL = {"left_depth": 64, "right_depth": 48, "sum_depth": 48, "mask_depth": 64}
CONFIGS = {
    "smallest": AcceleratorConfig.from_toml("smallest"),
    "odd": replace(AcceleratorConfig.from_toml("odd"), **SMALL),
    "short": replace(AcceleratorConfig.from_toml("short"), **SMALL),
    "square": AcceleratorConfig(pes=1, lanes=4, rows=4, columns=4, **SMALL),
    "thin": AcceleratorConfig(pes=1, lanes=1, rows=1, columns=3, memory_bytes=4, **SMALL),
    "wrapping": AcceleratorConfig(pes=1, lanes=2, rows=2, columns=2, operand_width=16, **SMALL),
}


class Reference:
    """Executes commands with NumPy; says which (emit, last, vector) the engine must produce."""

    def __init__(self, config, left, right):
        self.config, self.left, self.right = config, left, right
        self.sums = np.zeros((config.sum_depth, config.columns), dtype=np.int64)
        self.elements = np.zeros((config.rows, config.columns), dtype=np.int64)

    def wrap(self, values):
        half = 1 << (self.config.sum_width - 1)
        return (values + half) % (2 * half) - half

    def run(self, command):
        rows, count, mode = self.config.rows, command["count"], command["mode"]
        where = slice(command["sum_base"], command["sum_base"] + count)
        left = self.left[command["left_base"] :][:count]
        left = left[:, command["slice"] * rows :][:, :rows]
        right = self.right[command["right_base"] :]
        if mode == WS:
            old = 0 if command["first"] else self.sums[where]
            self.sums[where] = self.wrap(old + left @ right[:rows])
        if mode == OS:
            old = 0 if command["first"] else self.elements
            self.elements = self.wrap(old + left.T @ right[:count])
            where = slice(command["sum_base"], command["sum_base"] + rows)
            if command["last"]:
                self.sums[where] = self.elements
        if not command["last"]:
            return [(0, 1, None)]
        lanes = self.config.lanes
        vectors = self.sums[where, command["bank"] * lanes :][:, :lanes].tolist()
        return [(1, int(i == len(vectors) - 1), vector) for i, vector in enumerate(vectors)]


def a_command(mode, count, **fields):
    names = dict.fromkeys(("slice", "left_base", "right_base", "sum_base", "bank"), 0)
    return {"mode": int(mode), "count": count, "first": 1, "last": 1, **names, **fields}


def random_commands(config, rng, number):
    """Legal commands that meet in few rows of sums, so that hazards are frequent."""
    commands = []
    while len(commands) < number:
        mode = Mode(int(rng.integers(3)))
        parts = int(rng.integers(1, 4)) if mode == OS else 1
        for part in range(parts):
            count = int(rng.choice([1, 1, 2, 3, int(rng.integers(4, 13))]))
            commands.append(
                a_command(
                    mode,
                    count,
                    first=int(part == 0) if mode == OS else int(rng.integers(2)),
                    last=int(part == parts - 1)
                    if mode == OS
                    else int(mode == PASS or rng.integers(2)),
                    slice=int(rng.integers(config.left_slices)),
                    left_base=int(rng.integers(config.left_depth - count + 1)),
                    right_base=int(rng.integers(config.right_depth - max(count, config.rows) + 1)),
                    sum_base=int(
                        rng.integers(min(4, config.sum_depth - max(count, config.rows)) + 1)
                    ),
                    bank=int(rng.integers(config.right_banks)),
                )
            )
    return commands


@dataclass
class Trace:
    """What happened on the engine's ports, and in which cycles."""

    engine: TransformEngine
    vectors: list
    vector_cycles: list
    taken_cycles: list
    rows: int = 0
    active: int = 0
    stalled: int = 0


def operands(config, rng, extreme=False):
    low, high = -(1 << (config.operand_width - 1)), (1 << (config.operand_width - 1)) - 1
    shapes = [(config.left_depth, config.left_banks), (config.right_depth, config.right_banks)]
    if extreme:
        return [np.full((depth, banks * config.lanes), low) for depth, banks in shapes]
    return [rng.integers(low, high + 1, (depth, banks * config.lanes)) for depth, banks in shapes]


def row_writes(config, rows, rng):
    """Payloads that write rows of a memory, bank by bank."""
    banks = rows.reshape(len(rows), -1, config.lanes).transpose(1, 0, 2).tolist()
    for bank, vectors in enumerate(banks):
        yield from group_writes(list(enumerate(vectors)), config.vector_group, rng, bank=bank)


async def fill(context, config, port, rows):
    context.set(port.valid, 1)
    for write in row_writes(config, rows, np.random.default_rng(len(rows))):
        context.set(port.payload, write)
        await context.tick()
    context.set(port.valid, 0)


def execute(config, left, right, commands, expected, *, stall=None, gaps=None, refills=()):
    """Run commands; `stall` and `gaps` are generators of 0/1: sink busy, source pausing."""
    engine = TransformEngine(config)
    trace = Trace(engine, [], [], [])

    async def watch(context):
        cycle = 0
        taken = engine.commands.valid & engine.commands.ready
        beat_taken = engine.sums.valid & engine.sums.ready
        counts = [engine.rows, engine.active, engine.stalled]
        ports = [taken, beat_taken, engine.sums.payload, *counts]
        async for _, _, taken, beat_taken, beat, *counts in context.tick().sample(*ports):
            if taken:
                trace.taken_cycles.append(cycle)
            if beat_taken:
                trace.vectors.append((beat.emit, beat.last, list(beat.sums) if beat.emit else None))
                trace.vector_cycles.append(cycle)
            trace.rows += counts[0]
            trace.active += counts[1]
            trace.stalled += counts[2]
            cycle += 1

    async def sink(context):
        while True:
            context.set(engine.sums.ready, int(stall is None or not next(stall)))
            await context.tick()

    async def bench(context):
        await fill(context, config, engine.left_writes, left)
        await fill(context, config, engine.right_writes, right)
        assert context.get(engine.idle)
        for index, command in enumerate(commands):
            while gaps is not None and next(gaps):
                await context.tick()
            for at, rows in refills:
                if at == index:
                    await fill(context, config, engine.left_writes, rows)
            context.set(engine.commands.payload, TRANSFORM_WORK.const(command))
            context.set(engine.commands.valid, 1)
            await context.tick().until(engine.commands.ready)
            context.set(engine.commands.valid, 0)
        for _ in range(4000):
            if context.get(engine.idle):
                break
            assert len(trace.vectors) < len(expected), "busy after its last vector"
            await context.tick()
        assert context.get(engine.idle)
        await context.tick().repeat(5)

    simulator = Simulator(engine)
    simulator.add_clock(1e-8)
    simulator.add_process(watch)
    simulator.add_testbench(sink, background=True)
    simulator.add_testbench(bench)
    simulator.run()
    return trace


def busy(rng, share):
    while True:
        yield int(rng.random() < share)


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("stalling", [False, True], ids=["flowing", "stalling"])
def test_random_commands_give_the_vectors_of_matrix_products(name, stalling):
    config, rng = CONFIGS[name], np.random.default_rng([7, len(name), stalling])
    left, right = operands(config, rng)
    commands = random_commands(config, rng, 60)
    reference = Reference(config, left, right)
    expected = [vector for command in commands for vector in reference.run(command)]
    trace = execute(
        config,
        left,
        right,
        commands,
        expected,
        stall=busy(rng, 0.7) if stalling else None,
        gaps=busy(rng, 0.2) if stalling else None,
    )
    assert trace.vectors == expected


def test_sums_wrap_where_products_exceed_them():
    config, rng = CONFIGS["wrapping"], np.random.default_rng(1)
    left, right = operands(config, rng, extreme=True)
    commands = [a_command(WS, 3), a_command(OS, 5), a_command(WS, 2, first=0)]
    reference = Reference(config, left, right)
    expected = [vector for command in commands for vector in reference.run(command)]
    assert expected[0][2] == [-(1 << 31)] * 2
    assert execute(config, left, right, commands, expected).vectors == expected


@pytest.mark.parametrize("name", ["smallest", "short", "square", "odd"])
def test_a_command_takes_exactly_the_cycles_stated(name):
    config, rng = CONFIGS[name], np.random.default_rng(2)
    left, right = operands(config, rng)
    cases = [
        (mode, count, last)
        for mode in Mode
        for count in (1, 2, 40)
        for last in ([1] if mode == PASS else [1, 0])
    ]
    commands = [a_command(mode, count, last=last) for mode, count, last in cases]
    reference = Reference(config, left, right)
    expected = [vector for command in commands for vector in reference.run(command)]
    trace = execute(config, left, right, commands, expected)
    engine = trace.engine
    spans = [engine.cycles(mode, count, last) for mode, count, last in cases]
    begins = trace.taken_cycles[0] + np.cumsum([0, *spans[:-1]])
    # The next command waits in front of the one that is executed.
    assert trace.taken_cycles[1:] == (begins[:-1] + 1).tolist()
    ends = [
        cycle
        for cycle, (_, last, _) in zip(trace.vector_cycles, trace.vectors, strict=True)
        if last
    ]
    delays = (np.array(ends) - begins - spans).tolist()
    assert delays == [engine.latency - 1] * len(cases)
    assert trace.active == sum(spans) - len(spans)
    assert trace.stalled == 0


def test_counters_tell_rows_progress_and_stalls_apart():
    config, rng = CONFIGS["square"], np.random.default_rng(3)
    left, right = operands(config, rng)
    commands = [a_command(WS, 20), a_command(OS, 12), a_command(PASS, 24)]
    reference = Reference(config, left, right)
    expected = [vector for command in commands for vector in reference.run(command)]
    trace = execute(config, left, right, commands, expected, stall=busy(rng, 0.8))
    assert trace.vectors == expected
    assert trace.rows == 32
    assert trace.active == (4 + 20) + (12 + 4) + (2 + 24)
    assert trace.stalled > 60


def test_operands_written_before_a_command_are_the_ones_it_uses():
    config, rng = CONFIGS["odd"], np.random.default_rng(4)
    left, right = operands(config, rng)
    newer, _ = operands(config, rng)
    newer = newer[:3]
    commands = [a_command(WS, 1, left_base=5), a_command(OS, 3)]
    changed = np.concatenate([newer, left[3:]])
    reference = Reference(config, changed, right)
    expected = [vector for command in commands for vector in reference.run(command)]
    trace = execute(config, left, right, commands, expected, refills=[(1, newer)])
    assert trace.vectors == expected


def test_the_smallest_engine_converts_without_empty_ports():
    text = verilog.convert(TransformEngine(CONFIGS["smallest"]), emit_src=False)
    assert "[-1:0]" not in text
