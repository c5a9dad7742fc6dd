# SPDX-License-Identifier: Apache-2.0
"""Gearboxes, fork, merge and queues against plain lists."""

import random

import pytest
from amaranth.sim import Simulator

from gcnloom_hw.streams.fork import Fork
from gcnloom_hw.streams.gearbox import Packer, Unpacker
from gcnloom_hw.streams.half_buffer import HalfBuffer
from gcnloom_hw.streams.merge import Merge
from gcnloom_hw.streams.queue import CreditedQueue, Queue
from gcnloom_hw.streams.skid import Skid
from gcnloom_spec.config import Packing
from tests.hw.streams import receive, send, stalls

PACKINGS = [(1, 4), (4, 4), (3, 16), (9, 4), (24, 8)]  # bytes of an item, of a memory word
STALLS = [None, 7]


def run(dut, *benches, background=()):
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    for bench in benches:
        simulator.add_testbench(bench)
    for bench in background:
        simulator.add_testbench(bench, background=True)
    simulator.run()


@pytest.mark.parametrize("seed", STALLS)
@pytest.mark.parametrize(("item", "memory"), PACKINGS)
def test_unpacker_gives_every_item_of_each_transfer_and_drops_padding(item, memory, seed):
    packing = Packing.of(item, memory)
    generator = random.Random(3)
    transfers = [
        [generator.randbytes(packing.item_bytes) for _ in range(count)]
        for count in (1, 2, 5, packing.items_per_word, packing.items_per_word + 1)
    ]
    dut = Unpacker(packing, memory)

    async def words(ctx):
        waits = stalls(seed)
        for items in transfers:
            blob = b"".join(items).ljust(packing.words(len(items)) * memory, b"\xaa")
            pieces = [blob[i : i + memory] for i in range(0, len(blob), memory)]
            await send(
                ctx,
                dut.words,
                [
                    {"data": int.from_bytes(piece, "little"), "last": index == len(pieces) - 1}
                    for index, piece in enumerate(pieces)
                ],
                waits,
            )

    async def items(ctx):
        waits = stalls(seed and seed + 1)
        for expected in transfers:
            for index, item_bytes in enumerate(expected):
                while next(waits):
                    await ctx.tick()
                # The transfer's end is known only to the taker: flush with its last item.
                ctx.set(dut.flush, index == len(expected) - 1)
                ctx.set(dut.items.ready, 1)
                while not ctx.get(dut.items.valid):
                    ctx.set(dut.flush, 0)
                    await ctx.tick()
                    ctx.set(dut.flush, index == len(expected) - 1)
                assert ctx.get(dut.items.payload) == int.from_bytes(item_bytes, "little")
                await ctx.tick()
                ctx.set(dut.items.ready, 0)
                ctx.set(dut.flush, 0)

    run(dut, words, items)


@pytest.mark.parametrize("seed", STALLS)
@pytest.mark.parametrize(("item", "memory"), PACKINGS)
def test_packer_writes_exactly_the_bytes_of_its_items(item, memory, seed):
    packing = Packing.of(item, memory)
    generator = random.Random(5)
    transfers = [
        [generator.randbytes(packing.item_bytes) for _ in range(count)]
        for count in (1, 3, packing.items_per_word, 2 * packing.items_per_word + 1)
    ]
    dut = Packer(packing, memory)
    count = sum(packing.words(len(items)) for items in transfers)
    written = []

    async def items(ctx):
        waits = stalls(seed)
        for transfer in transfers:
            await send(
                ctx,
                dut.items,
                [
                    {"data": int.from_bytes(payload, "little"), "last": index == len(transfer) - 1}
                    for index, payload in enumerate(transfer)
                ],
                waits,
            )

    async def words(ctx):
        written.extend(await receive(ctx, dut.words, count, stalls(seed and seed + 1)))

    run(dut, items, words)
    stream = iter(written)
    for transfer in transfers:
        blob = b""
        for index in range(packing.words(len(transfer))):
            word = next(stream)
            data = int(word.data).to_bytes(memory, "little")
            blob += bytes(byte for lane, byte in enumerate(data) if int(word.mask) >> lane & 1)
            assert bool(word.last) == (index == packing.words(len(transfer)) - 1)
        assert blob == b"".join(transfer)


@pytest.mark.parametrize("seed", STALLS)
def test_fork_gives_each_item_once_to_each_chosen_output(seed):
    dut = Fork(8, outputs=3)
    generator = random.Random(1)
    plan = [(generator.randrange(256), generator.randrange(8)) for _ in range(60)]
    taken = {index: [] for index in range(3)}

    async def source(ctx):
        waits = stalls(seed)
        for payload, choose in plan:
            ctx.set(dut.choose, choose)
            await send(ctx, dut.i, [payload], waits)

    def sink(index):
        async def bench(ctx):
            expected = sum(choose >> index & 1 for _, choose in plan)
            taken[index] = await receive(
                ctx, getattr(dut, f"o{index}"), expected, stalls(seed and seed + index)
            )

        return bench

    run(dut, source, *(sink(index) for index in range(3)))
    for index in range(3):
        assert taken[index] == [payload for payload, choose in plan if choose >> index & 1]


def test_merge_serves_every_input_in_turn_and_keeps_each_order():
    dut = Merge(16, inputs=3)
    merged = []

    def source(index):
        async def bench(ctx):
            await send(
                ctx,
                getattr(dut, f"i{index}"),
                [index << 8 | item for item in range(20)],
                stalls(index or None),
            )
            await ctx.tick().repeat(2)

        return bench

    async def sink(ctx):
        async for _, _, valid, payload in ctx.tick().sample(dut.o.valid, dut.o.payload):
            if valid:
                merged.append(payload)

    run(dut, *(source(index) for index in range(3)), background=(sink,))
    for index in range(3):
        assert [item & 255 for item in merged if item >> 8 == index] == list(range(20))
    # While all three offer, nobody is served twice before the others.
    first = [item >> 8 for item in merged[:3]]
    assert len(set(first)) >= 2


def test_merge_takes_an_item_a_cycle_from_whoever_writes_alone():
    dut = Merge(16, inputs=3)
    taken = []

    async def bench(ctx):
        for index in (2, 0):
            source = getattr(dut, f"i{index}")
            ctx.set(source.valid, 1)
            taken.append(0)
            for _ in range(11):
                _, _, ready = await ctx.tick().sample(source.ready)
                taken[-1] += ready
            ctx.set(source.valid, 0)

    run(dut, bench)
    # One cycle passes before the turn has changed hands.
    assert taken == [10, 10]


@pytest.mark.parametrize("depth", [2, 5, 16])
@pytest.mark.parametrize("seed", STALLS)
def test_queue_keeps_order_and_loses_nothing(depth, seed):
    dut = Queue(70, depth=depth)
    payloads = [item << 60 | item for item in range(100, 180)]
    taken = []

    async def source(ctx):
        await send(ctx, dut.i, payloads, stalls(seed))

    async def sink(ctx):
        taken.extend(await receive(ctx, dut.o, len(payloads), stalls(seed and 9)))

    run(dut, source, sink)
    assert taken == payloads


def test_credited_queue_never_overflows_behind_a_long_pipeline():
    depth, latency, count = 5, 9, 60
    dut = CreditedQueue(8, depth=depth)
    taken = []

    async def pipeline(ctx):
        stages = [None] * latency
        issued = 0
        for _ in range(3000):
            go = bool(ctx.get(dut.available)) and issued < count
            ctx.set(dut.take, go)
            out = stages.pop()
            stages.insert(0, issued if go else None)
            issued += go
            ctx.set(dut.i.valid, out is not None)
            ctx.set(dut.i.payload, out or 0)
            await ctx.tick()

    async def sink(ctx):
        taken.extend(await receive(ctx, dut.o, count, stalls(2)))

    run(dut, pipeline, sink)
    assert taken == list(range(count))


@pytest.mark.parametrize(("source", "sink"), [(None, None), (3, None), (None, 5), (3, 5)])
@pytest.mark.parametrize("depth", [1, 2, 5, 16])
@pytest.mark.parametrize("registered", [0, 3, 8])
def test_queue_keeps_every_item_in_order_and_is_full_rate(registered, depth, source, sink):
    dut = Queue(8, depth=depth, registered=registered)
    sent = [random.Random(9).randrange(256) for _ in range(100)]
    received = []
    cycles = 0

    async def feed(ctx):
        await send(ctx, dut.i, sent, stalls(source))

    async def drain(ctx):
        received.extend(await receive(ctx, dut.o, len(sent), stalls(sink)))

    async def count(ctx):
        nonlocal cycles
        async for clk, _ in ctx.tick().sample():
            cycles += clk

    run(dut, feed, drain, background=(count,))
    assert received == sent
    if depth > 1 and source is None and sink is None:
        assert cycles <= len(sent) + 3


def test_queue_offers_no_path_from_sink_to_source():
    dut = Queue(8, depth=2)

    async def bench(ctx):
        for level in range(3):
            for ready in (0, 1):
                ctx.set(dut.o.ready, ready)
                assert ctx.get(dut.i.ready) == (level < 2)
            ctx.set(dut.o.ready, 0)
            ctx.set(dut.i.valid, 1)
            await ctx.tick()

    run(dut, bench)


@pytest.mark.parametrize("depth", [1])
@pytest.mark.parametrize("seed", STALLS)
def test_the_shortest_queues_keep_the_order_and_their_pace(depth, seed):
    dut = Queue(16, depth=depth)
    sent, got, cycles = list(range(40)), [], 0

    async def writer(ctx):
        await send(ctx, dut.i, sent, stalls(seed))

    async def reader(ctx):
        nonlocal cycles
        waits = stalls(seed and seed + 1)
        while len(got) < len(sent):
            ctx.set(dut.o.ready, not next(waits))
            _, _, valid, ready, payload = await ctx.tick().sample(
                dut.o.valid, dut.o.ready, dut.o.payload
            )
            cycles += 1
            if valid and ready:
                got.append(payload)

    run(dut, writer, reader)
    assert got == sent
    if seed is None:
        assert cycles <= len(sent) + depth + 1


@pytest.mark.parametrize(("source", "sink"), [(None, None), (3, None), (None, 5), (3, 5)])
def test_skid_keeps_every_item_in_order_adds_no_latency_and_is_full_rate(source, sink):
    dut = Skid(16)
    sent, received, cycles = list(range(1, 101)), [], 0

    async def feed(ctx):
        await send(ctx, dut.i, sent, stalls(source))

    async def drain(ctx):
        received.extend(await receive(ctx, dut.o, len(sent), stalls(sink)))

    async def count(ctx):
        nonlocal cycles
        async for clk, _ in ctx.tick().sample():
            cycles += clk

    run(dut, feed, drain, background=(count,))
    assert received == sent
    if source is None and sink is None:
        assert cycles <= len(sent) + 1


def test_skid_offers_no_path_from_sink_to_source():
    dut = Skid(8)

    async def bench(ctx):
        for full in (False, True):
            for ready in (0, 1):
                ctx.set(dut.o.ready, ready)
                assert ctx.get(dut.i.ready) == (not full)
            ctx.set(dut.o.ready, 0)
            ctx.set(dut.i.valid, 1)
            await ctx.tick()

    run(dut, bench)


@pytest.mark.parametrize(("source", "sink"), [(None, None), (3, None), (None, 5), (3, 5)])
def test_half_buffer_keeps_every_item_in_order_at_half_rate(source, sink):
    dut = HalfBuffer(16)
    sent, received, cycles = list(range(1, 51)), [], 0

    async def feed(ctx):
        await send(ctx, dut.i, sent, stalls(source))

    async def drain(ctx):
        received.extend(await receive(ctx, dut.o, len(sent), stalls(sink)))

    async def count(ctx):
        nonlocal cycles
        async for clk, _ in ctx.tick().sample():
            cycles += clk

    run(dut, feed, drain, background=(count,))
    assert received == sent
    if source is None and sink is None:
        assert cycles <= 2 * len(sent) + 1


def test_half_buffer_offers_no_path_in_either_direction():
    dut = HalfBuffer(8)

    async def bench(ctx):
        for full in (False, True):
            for valid, ready in ((0, 0), (0, 1), (1, 0), (1, 1)):
                ctx.set(dut.i.valid, valid)
                ctx.set(dut.o.ready, ready)
                assert (ctx.get(dut.i.ready), ctx.get(dut.o.valid)) == (not full, full)
            ctx.set(dut.i.valid, 1)
            ctx.set(dut.o.ready, 0)
            await ctx.tick()

    run(dut, bench)
