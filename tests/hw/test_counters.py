# SPDX-License-Identifier: Apache-2.0
"""Counters: every event is counted once, whenever and however often somebody looks."""

import numpy as np
import pytest
from amaranth.sim import Simulator

from gcnloom_hw.control.counters import Counters


def simulate(dut, bench):
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()


class Expected:
    """What an array of plain counters says, and said."""

    def __init__(self, kinds):
        self.totals = np.zeros(kinds, dtype=np.int64)
        self.early = np.zeros(kinds, dtype=bool)
        self.history = []

    def tick(self, events, running, clear):
        """Events of a cycle count in the next one, if that is one of a run."""
        self.totals += self.early if running else 0
        self.early = events & ~clear
        if clear:
            self.totals[:] = 0
        self.history.append(self.totals.copy())


@pytest.mark.parametrize(("kinds", "seed"), [(8, 1), (9, 2), (17, 3), (67, 4), (91, 5)])
def test_counts_are_those_of_plain_counters(kinds, seed):
    """Some kinds always happen, some seldom; runs begin and end at any time, also just cleared."""
    rng = np.random.default_rng(seed)
    rates = rng.choice([0.0, 0.02, 0.5, 1.0], kinds)
    rates[-1] = 1.0
    dut = Counters(kinds)
    expected = Expected(kinds)

    async def bench(ctx):
        async def tick(running, clear=0):
            events = rng.random(kinds) < rates
            ctx.set(dut.events, sum(1 << kind for kind in np.flatnonzero(events).tolist()))
            ctx.set(dut.running, running)
            ctx.set(dut.clear, clear)
            await ctx.tick()
            expected.tick(events, running, clear)

        for cycles in (3, 900, 126, 30, 700):
            await tick(running=int(rng.integers(2)), clear=1)
            for _ in range(cycles // 30):
                # A look, while it counts.
                shown = int(rng.choice([0, kinds - 1, rng.integers(kinds)]))
                ctx.set(dut.address, shown)
                for _ in range(30):
                    await tick(running=1)
                said = [totals[shown] for totals in expected.history[-dut.latency - 4 :]]
                assert said[0] <= ctx.get(dut.count) <= said[-1]
            await tick(running=0)
            for kind in range(kinds):
                ctx.set(dut.address, kind)
                for _ in range(dut.latency + 3):
                    await tick(running=0)
                assert ctx.get(dut.count) == expected.totals[kind]

    simulate(dut, bench)


def test_a_count_goes_beyond_what_a_shift_register_holds():
    dut = Counters(11)

    async def bench(ctx):
        ctx.set(dut.events, 0b101)
        ctx.set(dut.running, 1)
        ctx.set(dut.address, 2)
        await ctx.tick().repeat(20_000)
        assert 20_000 - 3 - dut.latency <= ctx.get(dut.count) <= 20_000 - 3

    simulate(dut, bench)
