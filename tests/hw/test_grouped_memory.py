# SPDX-License-Identifier: Apache-2.0
"""Memories that are written in groups against a list."""

import numpy as np
import pytest
from amaranth.sim import Simulator

from gcnloom_hw.memory.grouped import GroupedMemory
from tests.hw.group_writes import group_writes

CYCLES = 400


@pytest.mark.parametrize(
    ("width", "depth", "group"),
    [(5, 1, 1), (8, 13, 1), (1, 2, 2), (7, 13, 2), (33, 21, 4), (3, 32, 4), (9, 3, 8), (4, 75, 8)],
)
def test_each_word_read_is_the_last_that_a_write_enabled(width, depth, group):
    rng = np.random.default_rng([width, depth, group])
    memory = GroupedMemory(width=width, depth=depth, group=group)
    words, compared = [0] * depth, set()

    def write(ctx):
        """Write some neighbours; return their addresses."""
        start = int(rng.integers(depth))
        here = range(start, min(depth, (start // group + 1) * group))
        items = [(address, int(rng.integers(1 << width))) for address in here]
        payload = next(group_writes(items, group, rng))
        packed = sum(item << width * lane for lane, item in enumerate(payload["data"]))
        ctx.set(memory.write_enable, payload["enable"])
        ctx.set(memory.write_address, payload["address"])
        ctx.set(memory.write_data, packed)
        written = [address for address in here if payload["enable"] >> address % group & 1]
        for address in written:
            words[address] = payload["data"][address % group]
        return written

    async def bench(ctx):
        for _ in range(CYCLES):
            written = []
            if rng.random() < 0.6:
                written = write(ctx)
            else:
                # What lies at the ports of a write that enables nothing goes nowhere.
                ctx.set(memory.write_enable, 0)
            address = int(rng.integers(depth))
            ctx.set(memory.read_address, address)
            await ctx.tick().repeat(memory.latency)
            if address not in written:
                assert ctx.get(memory.read_data) == words[address]
                compared.add(address)

    simulator = Simulator(memory)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert len(compared) == depth
