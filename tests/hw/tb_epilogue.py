# SPDX-License-Identifier: Apache-2.0
"""Sources and a sink around an epilogue in the Amaranth simulator."""

from dataclasses import asdict, dataclass, field

import numpy as np
from amaranth.sim import Simulator

from gcnloom_hw.epilogue.epilogue import Epilogue
from gcnloom_spec.commands import Emission
from gcnloom_spec.registers import STATISTICS
from tests.hw.group_writes import group_writes

SEED, STEP = 0xDEADBEEF, 41
SHIFTS = {0: 3, 5: 0, 63: 11, 127: 17}
"""Of the scales of some tensors."""


@dataclass
class Command:
    """An emission, its sums (no rows: the command emits nothing) and its signals."""

    emission: Emission
    sums: np.ndarray
    signals: int = 0


@dataclass
class Outcome:
    """What left, and in which cycle; statistics by tensor; what the ports showed meanwhile."""

    beats: list = field(default_factory=list)
    cycles: list = field(default_factory=list)
    statistics: dict = field(default_factory=dict)
    saturated: int = 0
    envelopes: set = field(default_factory=set)


def mask_writes(config, masks, rng):
    """Payloads that write rows of booleans."""
    bits = [sum(bit << lane for lane, bit in enumerate(mask)) for mask in masks.tolist()]
    return group_writes(list(enumerate(bits)), config.vector_group, rng)


class Bench:
    """Sources and a sink around an epilogue; each cycle each idles with probability `stall`."""

    def __init__(self, config, commands, masks, *, stall=0.0, seed=0, statistic=0):
        self.config, self.commands, self.masks = config, commands, masks
        self.stall, self.rng = stall, np.random.default_rng(seed)
        self.dut, self.outcome = Epilogue(config), Outcome()
        self.statistic, self.collected, self.after = statistic, False, None

    def run(self):
        simulator = Simulator(self.dut)
        simulator.add_clock(1e-8)
        for process in (self.emit, self.sum, self.watch):
            simulator.add_testbench(process, background=True)
        simulator.add_testbench(self.collect)
        simulator.run()
        return self.outcome

    async def put(self, ctx, port, values):
        while self.rng.random() < self.stall:
            await ctx.tick()
        ctx.set(port.payload, values)
        ctx.set(port.valid, 1)
        await ctx.tick().until(port.ready)
        ctx.set(port.valid, 0)

    async def emit(self, ctx):
        ctx.set(self.dut.seed, SEED)
        ctx.set(self.dut.step, STEP)
        for tensor, shift in SHIFTS.items():
            ctx.set(self.dut.shift, {"enable": 1, "tensor": tensor, "shift": shift})
            await ctx.tick()
        ctx.set(self.dut.shift.enable, 0)
        for write in mask_writes(self.config, self.masks, self.rng):
            await self.put(ctx, self.dut.mask_writes, write)
        for command in self.commands:
            emission = asdict(command.emission) | {"signals": command.signals}
            await self.put(ctx, self.dut.emissions, emission)

    async def sum(self, ctx):
        for command in self.commands:
            last = len(command.sums) - 1
            for index, row in enumerate(command.sums.tolist()):
                await self.put(
                    ctx, self.dut.sums, {"sums": row, "emit": 1, "last": int(index == last)}
                )
            if last < 0:
                # Nothing of this may be seen anywhere.
                waste = [(1 << (self.config.sum_width - 1)) - 1] * self.config.lanes
                await self.put(ctx, self.dut.sums, {"sums": waste, "emit": 0, "last": 1})

    async def watch(self, ctx):
        ctx.set(self.dut.statistic, self.statistic)
        async for *_, lanes, peak in ctx.tick().sample(self.dut.saturated, self.dut.envelope):
            self.outcome.saturated += lanes
            self.outcome.envelopes |= {peak} if not self.collected else set()

    async def collect(self, ctx):
        remaining, cycle = len(self.commands), 0
        port = self.dut.vectors
        while remaining:
            ready = self.rng.random() >= self.stall
            ctx.set(port.ready, ready)
            *_, valid, beat = await ctx.tick().sample(port.valid, port.payload)
            cycle += 1
            assert cycle < 20_000, f"{remaining} commands never ended"
            if ready and valid:
                names = beat.shape().members if beat.emit else ("emit", "last", "signals")
                seen = {name: beat[name] for name in names}
                self.outcome.beats.append(seen | ({"data": list(beat.data)} if beat.emit else {}))
                self.outcome.cycles.append(cycle)
                remaining -= beat.last
        await ctx.tick().until(self.dut.idle)
        self.collected = True
        await self.read_statistics(ctx)
        if self.after:
            await self.after(ctx)

    async def read_statistics(self, ctx):
        self.outcome.statistics = {}
        for tensor in range(STATISTICS):
            ctx.set(self.dut.statistic, tensor)
            await ctx.tick().repeat(3)
            figures = ctx.get(self.dut.envelope), ctx.get(self.dut.saturations)
            if any(figures):
                self.outcome.statistics[tensor] = figures
