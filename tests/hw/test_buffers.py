# SPDX-License-Identifier: Apache-2.0
"""Queues, skid and half buffers against plain lists."""

import random

import pytest

from gcnloom_hw.streams.half_buffer import HalfBuffer
from gcnloom_hw.streams.queue import CreditedQueue, Queue
from gcnloom_hw.streams.skid import Skid
from tests.hw.streams import STALLS, receive, run, send, stalls


def carried(dut, sent, source, sink):
    """Send items through a buffer; return what comes out, and the cycles that it takes."""
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
    return received, cycles


@pytest.mark.parametrize("depth", [2, 5, 16])
@pytest.mark.parametrize("seed", STALLS)
def test_queue_keeps_order_and_loses_nothing(depth, seed):
    dut = Queue(70, depth=depth)
    payloads = [item << 60 | item for item in range(100, 180)]
    taken, _ = carried(dut, payloads, seed, seed and 9)
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
    received, cycles = carried(dut, sent, source, sink)
    assert received == sent
    if source is None and sink is None:
        assert cycles <= len(sent) + min(depth, 2) + 1


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


@pytest.mark.parametrize(("source", "sink"), [(None, None), (3, None), (None, 5), (3, 5)])
@pytest.mark.parametrize(("buffer", "pace"), [(Skid, 1), (HalfBuffer, 2)])
def test_skid_and_half_buffer_keep_every_item_in_order_at_their_pace(buffer, pace, source, sink):
    dut = buffer(16)
    sent = list(range(1, 101))
    received, cycles = carried(dut, sent, source, sink)
    assert received == sent
    if source is None and sink is None:
        assert cycles <= pace * len(sent) + 1


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
