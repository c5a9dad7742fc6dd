# SPDX-License-Identifier: Apache-2.0
"""Single bytes written through a memory that knows no masks: reads see exactly what they should."""

import random

import pytest
from amaranth import Module, Signal
from amaranth.lib import wiring
from amaranth.sim import Simulator

from gcnloom_hw.memory.block_ram import BlockRamMemory
from gcnloom_hw.memory.whole import WholeWords

WORDS, BYTES = 8, 4
FULL = (1 << BYTES) - 1


class Maskless(wiring.Component):
    """Block RAM that writes whole words whatever the mask, and hesitates as `stalls` says."""

    def __init__(self, init):
        self._inner = BlockRamMemory(memory_bytes=BYTES, words=WORDS, init=init)
        super().__init__(dict(self._inner.signature.members))
        self.stalls = Signal(3)

    def elaborate(self, platform):
        m = Module()
        m.submodules.inner = inner = self._inner
        read, write, answer = (~self.stalls[bit] for bit in range(3))
        m.d.comb += [
            inner.addresses.payload.eq(self.addresses.payload),
            inner.addresses.valid.eq(self.addresses.valid & read),
            self.addresses.ready.eq(inner.addresses.ready & read),
            inner.writes.payload.eq(self.writes.payload),
            inner.writes.p.mask.eq(FULL),
            inner.writes.valid.eq(self.writes.valid & write),
            self.writes.ready.eq(inner.writes.ready & write),
            self.answers.payload.eq(inner.answers.payload),
            self.answers.valid.eq(inner.answers.valid & answer),
            inner.answers.ready.eq(self.answers.ready & answer),
        ]
        return m


def traffic(seed, chance, masks):
    """Run random requests; return what reads found, what they had to find, and writes taken."""
    rng = random.Random(seed)
    init = [rng.getrandbits(8 * BYTES) for _ in range(WORDS)]
    memory = Maskless(init)
    dut = WholeWords(memory, memory_bytes=BYTES)
    expected, found, now, writes = [], [], list(init), [0]

    async def bench(ctx):
        for _ in range(1500):
            address, written = rng.randrange(WORDS), rng.randrange(WORDS)
            word, mask = rng.getrandbits(8 * BYTES), rng.choice(masks)
            asks = rng.random() >= chance and address != written
            ctx.set(dut.addresses.payload, address)
            ctx.set(dut.addresses.valid, asks)
            ctx.set(dut.writes.payload, {"address": written, "data": word, "mask": mask})
            ctx.set(dut.writes.valid, rng.random() >= chance)
            ctx.set(dut.answers.ready, rng.random() >= chance)
            ctx.set(memory.stalls, sum((rng.random() < chance) << bit for bit in range(3)))
            _, _, ready, valid, taken, answer, wrote, accepts = await ctx.tick().sample(
                dut.addresses.ready, dut.answers.valid, dut.answers.ready,
                dut.answers.payload, dut.writes.valid, dut.writes.ready,
            )  # fmt: skip
            if asks and ready:
                expected.append(now[address])
            if valid and taken:
                found.append(answer)
            if wrote and accepts:
                writes[0] += 1
                for byte in range(BYTES):
                    if mask >> byte & 1:
                        bits = 0xFF << 8 * byte
                        now[written] = now[written] & ~bits | word & bits

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return found, expected, writes[0]


@pytest.mark.parametrize("chance", [0.0, 0.3, 0.6])
@pytest.mark.parametrize("masks", [range(FULL + 1), (0b0001, 0b1110, FULL, FULL, FULL, FULL)])
def test_reads_find_what_was_written_byte_by_byte(chance, masks):
    found, expected, writes = traffic(7, chance, masks)
    assert found == expected[: len(found)]
    assert len(expected) - len(found) <= 8
    assert len(found) > 25 and writes > 40


def test_whole_words_go_each_way_in_every_cycle():
    found, _, writes = traffic(8, 0.0, [FULL])
    assert writes == 1500
    assert len(found) > 1500 * (1 - 2 / WORDS)
