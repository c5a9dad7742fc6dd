# SPDX-License-Identifier: Apache-2.0
"""Drive and watch streams in the Amaranth simulator, with and without stalls."""

import random

from amaranth.sim import Simulator

STALLS = [None, 7]
"""Seeds of streams that never wait, and of such that do."""


def run(dut, *benches, background=()):
    """Simulate a component until the benches have ended."""
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    for bench in benches:
        simulator.add_testbench(bench)
    for bench in background:
        simulator.add_testbench(bench, background=True)
    simulator.run()


def stalls(seed):
    """Yield one boolean a cycle: wait now? `None` never waits."""
    if seed is None:
        while True:
            yield False
    generator = random.Random(seed)
    while True:
        yield generator.random() < 0.4


async def send(ctx, stream, payloads, waits):
    """Offer payloads in order; return when the last was taken."""
    for payload in payloads:
        while next(waits):
            await ctx.tick()
        ctx.set(stream.payload, payload)
        ctx.set(stream.valid, 1)
        await ctx.tick().until(stream.ready)
        ctx.set(stream.valid, 0)


async def receive(ctx, stream, count, waits, limit=20000):
    """Take `count` payloads; fail after `limit` cycles."""
    taken = []
    for _ in range(limit):
        if len(taken) == count:
            break
        ctx.set(stream.ready, not next(waits))
        _, _, ready, valid, payload = await ctx.tick().sample(
            stream.ready, stream.valid, stream.payload
        )
        if ready and valid:
            taken.append(payload)
    ctx.set(stream.ready, 0)
    assert len(taken) == count, f"{len(taken)} of {count} after {limit} cycles"
    return taken
