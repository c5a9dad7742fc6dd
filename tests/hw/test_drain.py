# SPDX-License-Identifier: Apache-2.0
"""The two halves of the way out of the sparse engine: asking for words, and collecting them."""

import random
from collections import deque

import numpy as np
import pytest
from amaranth.sim import Simulator

from gcnloom_hw.aggregate.collect import Collector
from gcnloom_hw.aggregate.drain import DrainControl
from gcnloom_hw.aggregate.pe import ProcessingElement
from gcnloom_spec.config import AcceleratorConfig
from tests.hw.group_writes import group_writes

ODD = AcceleratorConfig.from_toml("odd")
PES = ODD.pes
COUNT = 150
LIMIT = 5000


def simulate(dut, bench):
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()


def orders(seed):
    generator = random.Random(seed)
    return {
        "one": [3] * COUNT,
        "turns": [index % PES for index in range(COUNT)],
        "random": [generator.randrange(PES) for _ in range(COUNT)],
    }


class Elements:
    """Drives a DrainControl; answers each ask after a while, or from cycle `hold` on."""

    def __init__(self, pes, *, chance, hold=0):
        self.dut = DrainControl(ODD)
        self.order = [
            {"pe": pe, "slot": 7 * index % 90, "last": index % 3 == 0}
            for index, pe in enumerate(pes)
        ]
        self.asked, self.parts = [], []
        self.waiting = [0] * PES
        self.most, self.most_parts = [0] * PES, 0
        self._random = random.Random(8)
        self._chance, self._hold = chance, hold
        simulate(self.dut, self._run)

    async def _run(self, ctx):
        dut = self.dut
        entries = list(enumerate(self.order, 20))
        for write in group_writes(entries, ODD.order_group, np.random.default_rng(10)):
            ctx.set(dut.order_writes.payload, write)
            ctx.set(dut.order_writes.valid, 1)
            await ctx.tick()
        ctx.set(dut.order_writes.valid, 0)
        halves = [
            {"order_base": 20, "count": COUNT // 2, "slot_base": 9},
            {"order_base": 20 + COUNT // 2, "count": COUNT - COUNT // 2, "slot_base": 30},
        ]
        for cycle in range(LIMIT):
            ctx.set(dut.commands.valid, bool(halves))
            if halves:
                ctx.set(dut.commands.payload, halves[0])
            self._answer(ctx, cycle >= self._hold and self._random.random() < self._chance)
            _, _, accepted, asks, slot = await ctx.tick().sample(
                dut.commands.valid & dut.commands.ready, dut.asks, dut.slot
            )
            if accepted:
                halves.pop(0)
            self._note(asks, slot)
            if len(self.parts) == COUNT:
                break

    def _answer(self, ctx, willing):
        """Take the word of the oldest part, if its element has one."""
        dut = self.dut
        take = 0
        if willing and ctx.get(dut.parts.valid):
            part = ctx.get(dut.parts.payload)
            pe = part.select.bit_length() - 1
            if self.waiting[pe]:
                take = 1 << pe
                self.waiting[pe] -= 1
                self.parts.append((pe, part.last, part.end))
        ctx.set(dut.taken, take)
        ctx.set(dut.parts.ready, bool(take))

    def _note(self, asks, slot):
        assert asks.bit_count() <= 1
        if asks:
            pe = asks.bit_length() - 1
            self.asked.append((pe, slot))
            self.waiting[pe] += 1
            self.most[pe] = max(self.most[pe], self.waiting[pe])
            self.most_parts = max(self.most_parts, sum(self.waiting))


@pytest.mark.parametrize("chance", [1.0, 0.4])
@pytest.mark.parametrize("name", orders(0))
def test_words_are_asked_for_in_order_and_never_more_than_an_element_holds(name, chance):
    pes = orders(4)[name]
    elements = Elements(pes, chance=chance, hold=300)
    base = [9] * (COUNT // 2) + [30] * (COUNT - COUNT // 2)
    entries = list(zip(elements.order, base, strict=True))
    assert elements.asked == [(entry["pe"], base + entry["slot"]) for entry, base in entries]
    ends = (COUNT // 2 - 1, COUNT - 1)
    assert elements.parts == [
        (entry["pe"], entry["last"], index in ends) for index, entry in enumerate(elements.order)
    ]
    assert max(elements.most) <= ProcessingElement.depth
    assert elements.most_parts <= DrainControl.outstanding
    if name == "one":
        assert elements.most[3] == ProcessingElement.depth
    if name == "turns":
        assert elements.most_parts == DrainControl.outstanding


class Words:
    """Drives a Collector with parts and words that are present or not at random."""

    def __init__(self, parts, *, present, ready):
        self.dut = Collector(ODD)
        self.parts, self.beats = deque(parts), []
        self._random = random.Random(9)
        self._present, self._ready = present, ready
        self._want = sum(last or end for _, _, last, end in parts)
        simulate(self.dut, self._run)

    async def _run(self, ctx):
        dut = self.dut
        for _ in range(LIMIT):
            ctx.set(dut.parts.valid, bool(self.parts))
            present = sum((self._random.random() < self._present) << pe for pe in range(PES))
            if self.parts:
                self._offer(ctx, present)
            ctx.set(dut.present, present)
            ctx.set(dut.sums.ready, self._random.random() < self._ready)
            _, _, taken, took, beat, out = await ctx.tick().sample(
                dut.taken,
                dut.parts.valid & dut.parts.ready,
                dut.sums.payload,
                dut.sums.valid & dut.sums.ready,
            )
            assert not taken & ~present
            if took:
                pe, vector, _, _ = self.parts.popleft()
                assert taken == (0 if vector is None else 1 << pe)
            if out:
                self.beats.append((beat.emit, beat.last, list(beat.sums) if beat.emit else None))
            if len(self.beats) == self._want:
                break
        for _ in range(4):
            await ctx.tick()
        self.empty_after = ctx.get(dut.empty)

    def _offer(self, ctx, present):
        """Show the word of the next part where it is; elsewhere, and before it is, others."""
        dut = self.dut
        pe, vector, last, end = self.parts[0]
        valid = int(vector is not None)
        ctx.set(dut.parts.payload, {"select": 1 << pe, "valid": valid, "last": last, "end": end})
        for other in range(PES):
            word = [self._random.randrange(1 << 30) for _ in range(ODD.lanes)]
            if other == pe and present >> pe & 1 and valid:
                word = vector
            ctx.set(dut.words[other], word)


def random_parts(seed):
    """Rows of one to six parts, now and then the end of a command, with a row or alone."""
    generator = random.Random(seed)
    half = 1 << (ODD.sum_width - 1)
    parts = []
    for _ in range(60):
        length = generator.randint(1, 6)
        for index in range(length):
            vector = [generator.randrange(-half, half) for _ in range(ODD.lanes)]
            last = int(index == length - 1)
            end = int(last and generator.random() < 0.3)
            parts.append((generator.randrange(PES), vector, last, end))
        if parts[-1][3] and generator.random() < 0.5:
            # A command without entries: whatever lies in its order entry counts for nothing.
            parts.append((generator.randrange(PES), None, generator.randrange(2), 1))
    return parts


def sums_of(parts):
    half = 1 << (ODD.sum_width - 1)
    beats, total = [], [0] * ODD.lanes
    for _, vector, last, end in parts:
        if vector is None:
            beats.append((0, 1, None))
            continue
        total = [t + x for t, x in zip(total, vector, strict=True)]
        if last:
            beats.append((1, end, [(t + half) % (2 * half) - half for t in total]))
            total = [0] * ODD.lanes
    return beats


@pytest.mark.parametrize("present", [1.0, 0.5])
@pytest.mark.parametrize("ready", [1.0, 0.1])
def test_collector_adds_the_parts_of_each_row(present, ready):
    parts = random_parts(6)
    words = Words(parts, present=present, ready=ready)
    assert words.beats == sums_of(parts)
    assert any(vector is None and last for _, vector, last, _ in parts)
    assert words.empty_after
