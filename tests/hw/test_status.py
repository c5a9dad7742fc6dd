# SPDX-License-Identifier: Apache-2.0
"""Registers: what a run is told, what it has judged, and that each is read where it belongs."""

import numpy as np
import pytest
from amaranth.sim import Simulator

from gcnloom.transport import Judged
from gcnloom_hw.control.status import Status
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import ISA_VERSION
from gcnloom_spec.registers import (
    COUNTER_BASE,
    COUNTERS,
    IDENTITY,
    READ_CYCLES,
    REGISTERS,
    Access,
    Control,
)
from gcnloom_spec.registers import Status as Bits

CONFIG = AcceleratorConfig.from_toml("odd")
ADDRESSES = {name: register.address for name, register in REGISTERS.items()}
ADDRESSES |= {name: COUNTER_BASE + index for index, name in enumerate(COUNTERS)}


class Bus:
    def __init__(self, ctx, dut):
        self.ctx, self.dut = ctx, dut

    async def write(self, name, value):
        self.ctx.set(self.dut.address, REGISTERS[name].address)
        self.ctx.set(self.dut.write_data, value)
        self.ctx.set(self.dut.write, 1)
        await self.ctx.tick()
        self.ctx.set(self.dut.write, 0)

    async def read(self, name):
        self.ctx.set(self.dut.address, ADDRESSES[name])
        await self.ctx.tick().repeat(READ_CYCLES)
        return self.ctx.get(self.dut.read_data)


def run(process):
    dut = Status(CONFIG)

    async def bench(ctx):
        await process(ctx, dut, Bus(ctx, dut))

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()


@pytest.mark.parametrize("seed", range(3))
def test_judged_losses_are_counted_as_on_the_host(seed):
    """Ties are no improvement. A loss stays for a cycle after it is judged."""
    rng = np.random.default_rng(seed)
    losses = [*rng.integers(1 << 39, 1 << 40, 3), *rng.integers(0, 40, 40)]
    first = [Judged(), Judged(best=20, worse=7), Judged(best=(5 << 32) - 1, worse=3)][seed]

    async def process(ctx, dut, bus):
        judged = first
        await bus.write("worse", first.worse)
        await bus.write("best_low", first.best & 0xFFFFFFFF)
        await bus.write("best_high", first.best >> 32)
        for loss in map(int, losses):
            judged = judged.after(loss)
            ctx.set(dut.val_loss, loss)
            ctx.set(dut.judge, 1)
            await ctx.tick()
            ctx.set(dut.judge, 0)
            await ctx.tick()
            ctx.set(dut.val_loss, 0)
            await ctx.tick().repeat(2)
            assert ctx.get(dut.worse) == judged.worse
            high, low = await bus.read("best_high"), await bus.read("best_low")
            assert high << 32 | low == judged.best
            assert await bus.read("worse") == judged.worse

    run(process)


def test_the_count_of_worse_losses_stops_at_its_end():
    async def process(ctx, dut, bus):
        await bus.write("worse", 0xFFFE)
        ctx.set(dut.val_loss, 9)
        for _ in range(3):
            ctx.set(dut.judge, 1)
            await ctx.tick()
            ctx.set(dut.judge, 0)
            await ctx.tick().repeat(3)
        assert ctx.get(dut.worse) == 0xFFFF

    run(process)


def test_finishing_is_asked_for_until_the_next_start():
    async def process(ctx, dut, bus):
        for control, expected in (
            (Control.RUN, (1, 0, 0)), (Control.FINISH, (0, 0, 1)), (Control.RUN, (1, 0, 0)),
            (Control.ABANDON, (0, 1, 0)),
        ):  # fmt: skip
            await bus.write("control", control)
            await ctx.tick()
            pulses = ctx.get(dut.start), ctx.get(dut.reset), ctx.get(dut.finish)
            # Start and reset are pulses, which are over again.
            assert pulses == (0, 0, expected[2])
            await bus.write("control", control)
            assert (ctx.get(dut.start), ctx.get(dut.reset), ctx.get(dut.finish)) == expected

    run(process)


def test_each_register_reads_what_it_says():
    digest = int(CONFIG.digest, 16)
    shown = {
        "identity": IDENTITY, "isa_version": ISA_VERSION, "digest_low": digest & 0xFFFFFFFF,
        "digest_high": digest >> 32, "status": Bits.RUNNING | Bits.HAZARD | Bits.EXPIRED,
        "envelope_low": 0x89ABCDEF, "envelope_high": 0x7, "saturations": 0xFEEDBEEF,
        "exponent": 0xFFFFFFFB, "wanted": 0xFFFFF800, "shift": 63, "progress": 0xDEADBEEF,
        "loss_low": 0x1234567, "loss_high": 0xAB, "worse": 4, "best_low": 5, "best_high": 6,
    }  # fmt: skip
    readable = {name for name, register in REGISTERS.items() if register.access != Access.WRITE}
    assert set(shown) == readable

    async def process(ctx, dut, bus):
        for name, value in (
            ("running", 1), ("fault", 0), ("hazard", 1), ("expired", 1),
            ("envelope", 0x789ABCDEF), ("saturations", 0xFEEDBEEF), ("progress", 0xDEADBEEF),
            ("train_loss", 0xAB01234567), ("scale", {"exponent": -5, "wanted": -2048, "shift": 63}),
        ):  # fmt: skip
            ctx.set(getattr(dut, name), value)
        for name in ("worse", "best_low", "best_high"):
            await bus.write(name, shown[name])
        for name, value in shown.items():
            assert await bus.read(name) == value, name

    run(process)


def test_each_register_that_is_written_is_handed_out():
    async def process(ctx, dut, bus):
        names = ("program_address", "program_count", "seed", "step", "watchdog")
        for index, name in enumerate(names):
            await bus.write(name, 0xF0000000 + index)
        await bus.write("statistic", 0x55)
        for index, name in enumerate(names):
            assert ctx.get(getattr(dut, name)) == 0xF0000000 + index
        assert ctx.get(dut.statistic) == 0x55

    run(process)


def test_each_counter_adds_what_it_is_told_while_running_and_starts_at_zero():
    """Every one counts differently often, those of edges several at a time."""
    cycles = 2 * len(COUNTERS)

    async def process(ctx, dut, bus):
        for first in (3, 0):
            await bus.write("control", Control.RUN)
            ctx.set(dut.running, 1)
            await ctx.tick().repeat(2)
            for cycle in range(cycles):
                for index, name in enumerate(COUNTERS):
                    amount = CONFIG.pes if name in ("edges", "edge_slots") else 1
                    happens = first <= cycle < first + index
                    ctx.set(getattr(dut, f"count_{name}"), amount if happens else 0)
                await ctx.tick()
            ctx.set(dut.running, 0)
            # What comes after the run does not count.
            ctx.set(dut.count_cycles, 1)
            for index, name in enumerate(COUNTERS):
                several = CONFIG.pes if name in ("edges", "edge_slots") else 1
                assert await bus.read(name) == several * index, name
            ctx.set(dut.count_cycles, 0)

    run(process)
