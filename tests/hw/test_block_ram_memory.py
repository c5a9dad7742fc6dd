# SPDX-License-Identifier: Apache-2.0
"""Block RAM behind the memory port: reads see every write accepted before them, in order."""

import random

import pytest
from amaranth.sim import Simulator

from gcnloom_hw.memory.block_ram import BlockRamMemory

WORDS, BYTES = 16, 4


def traffic(seed, chance):
    """Run random requests; return the words that reads found and those they had to find."""
    rng = random.Random(seed)
    init = [rng.getrandbits(8 * BYTES) for _ in range(WORDS)]
    memory = BlockRamMemory(memory_bytes=BYTES, words=WORDS, init=init)
    expected, found, cycles = [], [], 0
    now = list(init)

    async def bench(ctx):
        nonlocal cycles
        for _ in range(600):
            address, written = rng.randrange(WORDS), rng.randrange(WORDS)
            word, mask = rng.getrandbits(8 * BYTES), rng.getrandbits(BYTES)
            # A read beside a write of its word may see either.
            asks = rng.random() >= chance and address != written
            ctx.set(memory.addresses.payload, address)
            ctx.set(memory.addresses.valid, asks)
            ctx.set(memory.writes.p.address, written)
            ctx.set(memory.writes.p.data, word)
            ctx.set(memory.writes.p.mask, mask)
            ctx.set(memory.writes.valid, rng.random() >= chance)
            ctx.set(memory.answers.ready, rng.random() >= chance)
            _, _, ready, valid, taken, answer, wrote = await ctx.tick().sample(
                memory.addresses.ready, memory.answers.valid, memory.answers.ready,
                memory.answers.payload, memory.writes.valid,
            )  # fmt: skip
            cycles += 1
            if asks and ready:
                expected.append(now[address])
            if valid and taken:
                found.append(answer)
            for byte in range(BYTES) if wrote else ():
                if mask >> byte & 1:
                    bits = 0xFF << 8 * byte
                    now[written] = now[written] & ~bits | word & bits

    simulator = Simulator(memory)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return found, expected


@pytest.mark.parametrize("chance", [0.0, 0.3, 0.7])
def test_reads_find_what_was_written_in_the_order_of_asking(chance):
    found, expected = traffic(5, chance)
    assert found == expected[: len(found)]
    assert len(expected) - len(found) <= 5
    assert len(found) > 30


def test_a_word_goes_each_way_in_every_cycle():
    found, _ = traffic(6, 0.0)
    assert len(found) > 600 * (1 - 2 / WORDS)
