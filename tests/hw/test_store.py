# SPDX-License-Identifier: Apache-2.0
"""The store unit against vectors laid out in a memory of bytes."""

from collections import deque

import numpy as np
import pytest
from amaranth.sim import Simulator

from gcnloom_hw.memory.store import Store
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import Source
from gcnloom_spec.number import limits

LIMIT = 5_000


def random_stores(config, rng):
    """Commands on memory of their own, and the vectors that come to each."""
    stores, address = [], 0
    for index, count in enumerate([1, 2, 7, 1, 16, 3]):
        raw = index % 2
        packing = config.sums if raw else config.vector
        low, high = limits(config.sum_width if raw else config.operand_width)
        command = {
            "signals": int(rng.integers(1, 64)),
            "source": Source(int(rng.integers(2))),
            "raw": raw,
            "count": count,
            "address": address,
        }
        stores.append((command, rng.integers(low, high, (count, config.lanes), endpoint=True)))
        address += packing.words(count)
    return stores, address


def laid_out(config, memory, command, vectors):
    """Write vectors as the packing says, item behind item."""
    packing = config.sums if command["raw"] else config.vector
    octets = config.sum_bytes if command["raw"] else config.operand_bytes
    start = command["address"] * config.memory_bytes
    for index, vector in enumerate(vectors):
        item = vector.astype(f"<i{octets}").tobytes().ljust(packing.item_bytes, b"\0")
        place = start + packing.item_bytes * index
        memory[place : place + packing.item_bytes] = item


def run(config, memory, stores, *, stall):
    """Memory is written; returns the signals that fired."""
    unit, rng, fired = Store(config), np.random.default_rng(8), []
    offers = [(unit.commands, deque(command for command, _ in stores))]
    for port, source in ((unit.aggregate, 0), (unit.transform, 1)):
        mine = [vectors for command, vectors in stores if command["source"] == source]
        offers.append((port, deque(vector.tolist() for some in mine for vector in some)))

    async def bench(ctx):
        for _ in range(LIMIT):
            for port, queue in offers:
                if queue and not ctx.get(port.valid) and rng.random() >= stall:
                    ctx.set(port.payload, queue[0])
                    ctx.set(port.valid, 1)
            ctx.set(unit.writes.ready, bool(rng.random() >= stall))
            if ctx.get(unit.writes.valid & unit.writes.ready):
                write = ctx.get(unit.writes.payload)
                for index in range(config.memory_bytes):
                    if write.mask >> index & 1:
                        place = write.address * config.memory_bytes + index
                        memory[place] = write.data >> 8 * index & 255
            if signals := ctx.get(unit.signals):
                fired.append((signals, bytes(memory)))
            taken = [bool(ctx.get(port.valid & port.ready)) for port, _ in offers]
            await ctx.tick()
            for (port, queue), took in zip(offers, taken, strict=True):
                if took:
                    queue.popleft()
                    ctx.set(port.valid, 0)
            if len(fired) == len(stores):
                break
        assert ctx.get(unit.idle)

    simulator = Simulator(unit)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return fired


@pytest.mark.parametrize("stall", [0.0, 0.4])
@pytest.mark.parametrize("name", ["odd", "smallest", "tall", "wide"])
def test_vectors_of_each_source_lie_where_they_belong_when_signals_fire(name, stall):
    config, rng = AcceleratorConfig.from_toml(name), np.random.default_rng(9)
    stores, words = random_stores(config, rng)
    before = rng.bytes(words * config.memory_bytes)
    expected = bytearray(before)
    fired = run(config, bytearray(before), stores, stall=stall)
    for (command, vectors), (signals, seen) in zip(stores, fired, strict=True):
        laid_out(config, expected, command, vectors)
        assert signals == command["signals"]
        assert seen == expected
