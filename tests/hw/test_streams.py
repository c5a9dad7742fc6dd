# SPDX-License-Identifier: Apache-2.0
"""Gearboxes, fork and merge against plain lists."""

import random

import pytest

from gcnloom_hw.streams.fork import Fork
from gcnloom_hw.streams.gearbox import Packer, Unpacker
from gcnloom_hw.streams.merge import Merge
from gcnloom_spec.config import Packing
from tests.hw.streams import STALLS, receive, run, send, stalls

PACKINGS = [(1, 4), (4, 4), (3, 16), (9, 4), (24, 8)]  # bytes of an item, of a memory word


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
