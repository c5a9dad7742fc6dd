# SPDX-License-Identifier: Apache-2.0
"""Single-port RAM behind the memory port: reads see every write accepted before them, in order."""

import random

import pytest
from amaranth.sim import Simulator

from gcnloom_hw.memory.spram import SpramMemory
from gcnloom_hw.primitives.ice40 import SPRAM_WORDS

CYCLES = 600


def traffic(memory_bytes, seed, chance):
    """Run random requests; return the words that reads found, those they had to find, writes."""
    rng = random.Random(seed)
    memory = SpramMemory(memory_bytes=memory_bytes)
    # In every group of RAMs, few words, so that reads meet writes.
    places = [g * SPRAM_WORDS + w for g in range(memory.words // SPRAM_WORDS) for w in range(3)]
    now, expected, found, wrote = dict.fromkeys(places, 0), [], [], 0

    async def bench(ctx):
        nonlocal wrote
        for _ in range(CYCLES):
            address, written = rng.choice(places), rng.choice(places)
            word, mask = rng.getrandbits(8 * memory_bytes), rng.getrandbits(memory_bytes)
            asks, writes = rng.random() >= chance, rng.random() >= max(chance, 0.5)
            # Higher bits than the memory has are not looked at.
            ctx.set(memory.addresses.payload, address + 5 * memory.words)
            ctx.set(memory.addresses.valid, asks)
            ctx.set(memory.writes.p.address, written)
            ctx.set(memory.writes.p.data, word)
            ctx.set(memory.writes.p.mask, mask)
            ctx.set(memory.writes.valid, writes)
            ctx.set(memory.answers.ready, rng.random() >= chance)
            _, _, asked, valid, taken, answer, free = await ctx.tick().sample(
                memory.addresses.ready, memory.answers.valid, memory.answers.ready,
                memory.answers.payload, memory.writes.ready,
            )  # fmt: skip
            assert not (asks and asked and writes and free)
            if valid and taken:
                found.append(answer)
            if asks and asked:
                expected.append(now[address])
            for byte in range(memory_bytes) if writes and free else ():
                if mask >> byte & 1:
                    bits = 0xFF << 8 * byte
                    now[written] = now[written] & ~bits | word & bits
            wrote += writes and free

    simulator = Simulator(memory)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return found, expected, wrote


@pytest.mark.parametrize("memory_bytes", [2, 4, 8])
@pytest.mark.parametrize("chance", [0.0, 0.3, 0.7])
def test_reads_find_what_was_written_in_the_order_of_asking(memory_bytes, chance):
    found, expected, wrote = traffic(memory_bytes, 5, chance)
    assert found == expected[: len(found)]
    assert len(expected) - len(found) <= 1
    assert min(len(found), wrote) > CYCLES // 15


def test_a_cycle_reads_or_writes():
    found, _, wrote = traffic(4, 6, 0.0)
    assert len(found) + wrote >= CYCLES - 2


def test_a_word_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="memory_bytes=16 of single-port RAM; use 2, 4 or 8"):
        SpramMemory(memory_bytes=16)
