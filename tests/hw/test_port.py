# SPDX-License-Identifier: Apache-2.0
"""The memory port's arbiters: nothing is lost, mixed up or kept waiting for ever."""

import random
from collections import deque

import pytest
from amaranth.sim import Simulator

from gcnloom_hw.memory.port import ReadArbiter, WriteArbiter
from tests.hw.streams import receive, send, stalls

MEMORY_BYTES = 4
LATENCY = 5


def run(dut, *benches, background=()):
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    for bench in benches:
        simulator.add_testbench(bench)
    for bench in background:
        simulator.add_testbench(bench, background=True)
    simulator.run()


def word(address):
    """What the memory holds."""
    return address * 2654435761 % (1 << 32)


def memory_of(dut, seed, asked):
    """A memory that answers in order, `LATENCY` cycles later or more."""

    async def memory(ctx):
        waits, due = stalls(seed), deque()
        cycle = 0
        while True:
            ctx.set(dut.addresses.ready, not next(waits))
            _, _, took, address, answered = await ctx.tick().sample(
                dut.addresses.valid & dut.addresses.ready, dut.addresses.payload,
                dut.answers.valid & dut.answers.ready,
            )  # fmt: skip
            cycle += 1
            if took:
                asked.append(address)
                due.append((cycle + LATENCY, address))
            if answered:
                due.popleft()
            ready = bool(due) and due[0][0] <= cycle
            ctx.set(dut.answers.valid, ready)
            if ready:
                ctx.set(dut.answers.payload, word(due[0][1]))

    return memory


@pytest.mark.parametrize("seed", [None, 11])
@pytest.mark.parametrize("clients", [2, 4])
def test_each_of_many_readers_has_its_own_answers_in_order(clients, seed):
    generator = random.Random(clients)
    wanted = [
        [(generator.randrange(1 << 32), generator.randrange(2)) for _ in range(40)]
        for _ in range(clients)
    ]
    dut, asked = ReadArbiter(MEMORY_BYTES, clients=clients, outstanding=8), []

    def asking(client):
        async def process(ctx):
            requests = [{"address": address, "last": last} for address, last in wanted[client]]
            await send(ctx, getattr(dut, f"requests{client}"), requests, stalls(seed and client))

        return process

    def taking(client):
        async def process(ctx):
            words = getattr(dut, f"words{client}")
            got = await receive(ctx, words, 40, stalls(seed and 20 + client))
            expected = [(word(address), last) for address, last in wanted[client]]
            assert [(each.data, each.last) for each in got] == expected

        return process

    benches = [make(client) for client in range(clients) for make in (asking, taking)]
    run(dut, *benches, background=[memory_of(dut, seed, asked)])
    assert sorted(asked) == sorted(address for each in wanted for address, _ in each)


def test_a_reader_goes_before_those_with_higher_numbers():
    dut, asked = ReadArbiter(MEMORY_BYTES, clients=4, outstanding=64), []

    async def process(ctx):
        for client in reversed(range(4)):
            requests = getattr(dut, f"requests{client}")
            ctx.set(requests.payload.address, 100 * client)
            ctx.set(requests.valid, 1)
            ctx.set(getattr(dut, f"words{client}").ready, 1)
        await ctx.tick().repeat(20)
        assert asked[4:] == [0] * (len(asked) - 4)
        ctx.set(dut.requests0.valid, 0)
        await ctx.tick().repeat(20)
        assert asked[-8:] == [100] * 8
        ctx.set(dut.requests1.valid, 0)
        ctx.set(dut.requests2.valid, 0)
        await ctx.tick().repeat(20)
        assert asked[-8:] == [300] * 8

    run(dut, process, background=[memory_of(dut, None, asked)])


@pytest.mark.parametrize("seed", [None, 5])
@pytest.mark.parametrize("clients", [2, 3])
def test_every_writer_is_served_in_its_order_and_offers_never_change(clients, seed):
    dut, taken = WriteArbiter(16, clients=clients), []
    sent = [[client << 12 | index for index in range(30)] for client in range(clients)]

    def sending(client):
        async def process(ctx):
            waits = stalls(seed and seed + client)
            await send(ctx, getattr(dut, f"i{client}"), sent[client], waits)

        return process

    async def taking(ctx):
        waits, refused = stalls(seed and 99), None
        while len(taken) < 30 * clients:
            ready = not next(waits)
            ctx.set(dut.o.ready, ready)
            _, _, valid, payload = await ctx.tick().sample(dut.o.valid, dut.o.payload)
            assert refused is None or (valid and payload == refused), "an offered write changed"
            refused = payload if valid and not ready else None
            if valid and ready:
                taken.append(payload)

    run(dut, *map(sending, range(clients)), taking)
    for client in range(clients):
        assert [each for each in taken if each >> 12 == client] == sent[client]


def test_writers_take_turns_and_one_alone_is_never_held_up():
    dut = WriteArbiter(8, clients=3)
    taken = []

    async def process(ctx):
        ctx.set(dut.o.ready, 1)
        for client in range(3):
            ctx.set(getattr(dut, f"i{client}").payload, client)
        for offering in ((0, 1, 2), (0, 2), (2,)):
            for client in range(3):
                ctx.set(getattr(dut, f"i{client}").valid, client in offering)
            taken.append([])
            for _ in range(12):
                _, _, valid, payload = await ctx.tick().sample(dut.o.valid, dut.o.payload)
                if valid:
                    taken[-1].append(payload)

    run(dut, process)
    assert taken[0] == [0, 1, 2] * 4
    assert sorted(taken[1][:2] + taken[1][2:4]) == [0, 0, 2, 2]
    assert taken[1][-6:] in ([0, 2] * 3, [2, 0] * 3)
    assert len(taken[2]) >= 11
    assert set(taken[2]) == {2}
