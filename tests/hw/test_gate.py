# SPDX-License-Identifier: Apache-2.0
"""Gates: commands leave in order, each when its tokens are there, and these are taken once."""

import numpy as np
import pytest
from amaranth.hdl import unsigned
from amaranth.lib import data
from amaranth.sim import Simulator

from gcnloom_hw.control.gate import ALLOWED, Gate
from gcnloom_spec.isa import Unit

SHAPE = data.StructLayout({"opcode": 4, "waits": len(Unit), "rest": unsigned(40)})


def run(dut, process):
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(process)
    simulator.run()


@pytest.mark.parametrize("depth", [1, 2, 3, 14])
@pytest.mark.parametrize("pace", [0.2, 1.0])
def test_commands_leave_in_order_with_their_tokens(depth, pace):
    """Tokens come at random; a token that was taken is gone."""
    rng = np.random.default_rng([31, depth, int(10 * pace)])
    count, units = 60, len(Unit)
    waits = rng.integers(0, 1 << units, count) & rng.integers(0, 1 << units, count)
    commands = [
        {"opcode": int(rng.integers(16)), "waits": int(each), "rest": int(rng.integers(1 << 40))}
        for each in waits
    ]
    dut = Gate(SHAPE, depth=depth)

    async def process(ctx):
        tokens, sent, passed, left = np.zeros(units, dtype=int), 0, 0, []
        most = 0
        while len(left) < count:
            tokens += rng.random(units) < 0.4
            offered = sent < count and rng.random() < pace
            ctx.set(dut.i.valid, offered)
            if offered:
                ctx.set(dut.i.payload, commands[sent])
            ctx.set(dut.o.ready, int(rng.random() < pace))
            there = tokens > 0
            ctx.set(dut.available, sum(1 << unit for unit in np.flatnonzero(there).tolist()))
            await ctx.delay(1e-8)
            taken = np.array([ctx.get(dut.take) >> unit & 1 for unit in range(units)])
            assert (taken <= there).all()
            if taken.any():
                # Those that wait for nothing pass unseen.
                while not commands[passed]["waits"]:
                    passed += 1
                assert ctx.get(dut.take) == commands[passed]["waits"]
                passed += 1
            tokens -= taken
            waiting = ctx.get(dut.waiting)
            assert not waiting & (waiting - 1) and not waiting & ctx.get(dut.available)
            assert ctx.get(dut.idle) == (sent == len(left))
            sent += offered and ctx.get(dut.i.ready)
            most = max(most, sent - len(left))
            if ctx.get(dut.o.valid) and ctx.get(dut.o.ready):
                leaving = ctx.get(dut.o.payload)
                command = commands[len(left)] | {"waits": 0}
                assert {name: leaving[name] for name in SHAPE.members} == command
                left.append(command)
            await ctx.tick()
        assert most <= (1 if depth == 1 else depth + ALLOWED)
        assert passed == count or not any(command["waits"] for command in commands[passed:])

    run(dut, process)


@pytest.mark.parametrize(("depth", "held"), [(1, 1), (2, 4), (5, 7)])
def test_a_gate_holds_so_many_commands_before_their_unit(depth, held):
    dut = Gate(SHAPE, depth=depth)

    async def process(ctx):
        ctx.set(dut.i.valid, 1)
        accepted = 0
        for _ in range(40):
            accepted += ctx.get(dut.i.ready)
            await ctx.tick()
        assert accepted == held

    run(dut, process)
