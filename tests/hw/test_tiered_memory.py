# SPDX-License-Identifier: Apache-2.0
"""Block RAM in front of another memory: one memory to its user, whatever either tier does."""

import gc
import random
from collections import Counter, deque
from dataclasses import replace

import pytest
from amaranth import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator

from gcnloom_hw.dram.config import SdramConfig
from gcnloom_hw.dram.part import PARTS
from gcnloom_hw.memory.port import ADDRESS_BITS, write_request
from gcnloom_hw.memory.tiered import TieredMemory
from gcnloom_sim.cycles.memory import clock
from gcnloom_sim.memory import memory_model
from tests.hw.sdram_chip import DATA_SHEETS, SdramChip
from tests.hw.sdram_traffic import Traffic

BYTES, NEAR, WORDS = 4, 24, 48
PART = "MT48LC16M16A2"
SETTLED = 40
"""Answers from which on clocks are counted."""


class Outside(wiring.Component):
    """A memory that the test bench plays."""

    addresses: In(stream.Signature(ADDRESS_BITS))
    answers: Out(stream.Signature(8 * BYTES))
    writes: In(stream.Signature(write_request(BYTES)))

    def elaborate(self, platform):
        return Module()


def simulate(bench, near_words=NEAR):
    """Run a bench with the memory and what is behind it."""
    far = Outside()
    memory = TieredMemory(memory_bytes=BYTES, near_words=near_words, far=far)
    simulator = Simulator(memory)
    simulator.add_clock(1e-6)

    async def testbench(ctx):
        await bench(ctx, memory, far)

    simulator.add_testbench(testbench)
    simulator.run()


def written(word, data, mask):
    """What a byte-masked write makes of a word."""
    kept = sum(0xFF << 8 * lane for lane in range(BYTES) if mask >> lane & 1)
    return word & ~kept | data & kept


class Far:
    """The far memory, clock by clock: in order, as late as it likes."""

    def __init__(self, rng, chance, latency):
        self.rng, self.chance, self.latency = rng, chance, latency
        self.words, self.answers = Counter(), deque()

    def set(self, ctx, far, now):
        """Offer an answer, say what is accepted."""
        due = self.answers[0] if self.answers else None
        holds = ctx.get(far.answers.valid) and due is not None
        valid = due is not None and due[0] <= now and (holds or self.rng.random() >= self.chance)
        ctx.set(far.answers.valid, valid)
        if valid:
            ctx.set(far.answers.payload, due[1])
        ctx.set(far.addresses.ready, self.rng.random() >= self.chance)
        ctx.set(far.writes.ready, self.rng.random() >= self.chance)

    def step(self, now, write, read, answered):
        """Do what was accepted."""
        if write is not None:
            assert write.address >= NEAR
            self.words[write.address] = written(self.words[write.address], write.data, write.mask)
        if answered:
            self.answers.popleft()
        if read is not None:
            assert read >= NEAR
            due = now + self.rng.randrange(1, self.latency)
            self.answers.append((due, self.words[read]))


@pytest.mark.parametrize(("chance", "latency"), [(0.0, 2), (0.3, 12), (0.7, 4)])
@pytest.mark.parametrize("seed", range(3))
def test_reads_find_what_was_written_in_the_order_of_asking(seed, chance, latency):
    rng = random.Random(100 * seed + latency)
    outside = Far(rng, chance, latency)
    memory, in_flight = Counter(), deque()
    counted = Counter()

    async def bench(ctx, tiers, far):
        reads = writes = None
        for now in range(1500):
            outside.set(ctx, far, now)
            if reads is None and now < 1200 and rng.random() >= chance:
                # A while in one tier, a while in the other, a while anywhere.
                low, high = [(0, NEAR), (NEAR, WORDS), (0, WORDS)][now // 20 % 3]
                reads = rng.randrange(low, high)
                if writes is not None and writes[0] == reads:
                    reads = None
            if writes is None and now < 1200 and rng.random() >= chance:
                place = rng.randrange(WORDS)
                # The accelerator writes where it has the answers already.
                if place != reads and place not in [address for address, _ in in_flight]:
                    writes = place, rng.getrandbits(8 * BYTES), rng.getrandbits(BYTES)
            ctx.set(tiers.addresses.valid, reads is not None)
            ctx.set(tiers.addresses.payload, reads or 0)
            ctx.set(tiers.writes.valid, writes is not None)
            if writes is not None:
                request = dict(zip(("address", "data", "mask"), writes, strict=True))
                ctx.set(tiers.writes.payload, request)
            ctx.set(tiers.answers.ready, rng.random() >= chance)
            sampled = await ctx.tick().sample(
                tiers.addresses.ready, tiers.writes.ready, tiers.answers.valid,
                tiers.answers.ready, tiers.answers.payload, far.addresses.valid,
                far.addresses.ready, far.addresses.payload, far.writes.valid, far.writes.ready,
                far.writes.payload, far.answers.valid, far.answers.ready,
            )  # fmt: skip
            asked, wrote, valid, ready, answer, *others = sampled[2:]
            f_read, f_ready, f_address, f_write, f_writable, f_request, f_valid, f_taken = others
            outside.step(
                now, f_request if f_write and f_writable else None,
                f_address if f_read and f_ready else None, f_valid and f_taken,
            )  # fmt: skip
            if valid and ready:
                address, word = in_flight.popleft()
                assert answer == word, f"word {address} at {now}"
                counted["near" if address < NEAR else "far"] += 1
            if writes is not None and wrote:
                address, data, mask = writes
                memory[address] = written(memory[address], data, mask)
                writes = None
            if reads is not None and asked:
                in_flight.append((reads, memory[reads]))
                reads = None

    simulate(bench)
    assert not in_flight
    assert min(counted.values()) > 60 and sum(bool(word) for word in memory.values()) > 40


def test_reads_of_the_far_tier_go_on_while_so_many_of_the_near_one_wait():
    """The far memory never answers; what comes behind it in order is asked for, and waits."""

    async def bench(ctx, tiers, far):
        asked = []
        ctx.set(far.addresses.ready, 1)
        ctx.set(tiers.answers.ready, 1)

        async def watch(clocks):
            for _ in range(clocks):
                _, _, valid, address, answer = await ctx.tick().sample(
                    far.addresses.valid, far.addresses.payload, tiers.answers.valid
                )
                assert not answer
                if valid:
                    asked.append(address)

        async def ask(address):
            ctx.set(tiers.addresses.payload, address)
            ctx.set(tiers.addresses.valid, 1)
            await watch(1)
            ctx.set(tiers.addresses.valid, 0)
            await watch(12)

        await ask(NEAR)
        for place in range(TieredMemory.near_reads):
            await ask(place)
        await ask(NEAR + 1)
        assert asked == [NEAR, NEAR + 1]
        await ask(0)
        await ask(NEAR + 2)
        assert asked == [NEAR, NEAR + 1]

    simulate(bench)


def test_a_word_of_block_ram_goes_each_way_in_every_cycle_at_its_latency():
    async def bench(ctx, tiers, far):
        ctx.set(tiers.answers.ready, 1)
        ctx.set(tiers.addresses.valid, 1)
        ctx.set(tiers.writes.valid, 1)
        for now in range(60):
            ctx.set(tiers.addresses.payload, now % NEAR)
            # Two cycles ahead of the reads: each sees the write of this round.
            request = {"address": (now + 2) % NEAR, "data": now + 2, "mask": -1 % (1 << BYTES)}
            ctx.set(tiers.writes.payload, request)
            _, _, ready, writable, valid, answer = await ctx.tick().sample(
                tiers.addresses.ready, tiers.writes.ready, tiers.answers.valid,
                tiers.answers.payload,
            )  # fmt: skip
            assert ready and writable
            assert valid == (now >= TieredMemory.latency)
            asked = now - TieredMemory.latency
            assert asked < 2 or answer == asked

    simulate(bench)


@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
@pytest.mark.parametrize("bad", [0, 1 << ADDRESS_BITS])
def test_a_tier_of_no_words_or_of_too_many_is_refused(bad):
    with pytest.raises(ValueError, match="; try"):
        TieredMemory(memory_bytes=BYTES, near_words=bad, far=Outside())
    gc.collect()  # Here, not in another test, may amaranth say that nobody used what was refused.


def streams(kind, rng, near, count=240):
    """Words read, and words written, that are not the same ones."""
    ahead = [*range(count)]
    match kind:
        case "far":
            return [near + place for place in ahead], []
        case "near":
            return [place % near for place in ahead], []
        case "in turn":
            return [place // 2 % near if place % 2 else near + place // 2 for place in ahead], []
        case "runs":
            return [(place % near if place // 24 % 2 else near + place) for place in ahead], []
        case "written near":
            return [near + place for place in ahead], [2 * place % near for place in ahead]
        case "anywhere":
            reads = [rng.randrange(2 * near) for _ in ahead]
            return reads, [near * 2 + rng.randrange(near) for _ in ahead[:80]]


@pytest.mark.parametrize("kind", ["far", "near", "in turn", "runs", "written near", "anywhere"])
def test_it_takes_as_long_as_the_simulators_model(kind):
    """With an SDRAM behind it, once that has been started: to one per cent."""
    near, memory_bytes = 64, 16
    reads, places = streams(kind, random.Random(1), near)
    part = replace(PARTS[PART], start_ns=1000.0)
    config = SdramConfig(part=part, clocks=part.clocks(100e6), memory_bytes=memory_bytes)
    chip = SdramChip(replace(DATA_SHEETS[PART], power_up=1000.0), 10.0)
    run = Traffic(config, chip, reads, [(place, 1, 0xFFFF) for place in places], near_words=near)
    run.run()
    model = memory_model("sdram16+1K")
    assert model.near_bytes == near * memory_bytes
    spans = [
        answers[-1] - answers[SETTLED]
        for answers in (run.answered, modelled(model, memory_bytes, reads, places))
    ]
    print(f"{kind}: {spans[0]} clocks, {spans[1]} predicted")
    assert abs(spans[0] - spans[1]) <= 0.01 * spans[0]


def modelled(model, memory_bytes, reads, places):
    """When reads are answered, if they and writes always ask."""
    memory, now, answered = clock(model, memory_bytes), 0, []
    waiting = [deque(reads), deque(places)]
    while any(waiting):
        read, write = (each[0] if each else None for each in waiting)
        accepted = memory.ready(now, read=read, write=write)
        for way in (1, 0):
            if waiting[way] and accepted[way]:
                due = memory.accept(now, waiting[way].popleft(), write=bool(way))
                if not way:
                    answered.append(due)
        now += 1
    return answered
