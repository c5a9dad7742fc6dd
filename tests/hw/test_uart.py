# SPDX-License-Identifier: Apache-2.0
"""UARTs at fractions of a clock a bit, with rates that are a little off."""

import random

import pytest
from amaranth.sim import Simulator

from gcnloom_hw.link.uart import UartReceiver, UartTransmitter
from gcnloom_spec.link import RATE_BITS

BYTES = [0x00, 0xFF, 0x7E, 0x55, 0xAA, 0x01, 0x80, *random.Random(3).randbytes(12)]


def simulate(dut, *benches):
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    for bench in benches:
        simulator.add_testbench(bench)
    simulator.run()


def levels(data, clocks, *, phase=0.0, stop=1, gap=0.0):
    """Level of the line in each clock, whose bits begin at any time."""
    bits = []
    for byte in data:
        bits += [(0, 1.0), *((byte >> bit & 1, 1.0) for bit in range(8)), (stop, 1.0), (1, gap)]
    bits += [(1, 12.0)]
    line, begin = [1] * 3, 3 + phase
    for level, length in bits:
        begin += length * clocks
        while len(line) < begin:
            line.append(level)
    return line


def received(line, clocks):
    dut = UartReceiver()
    got = []

    async def bench(ctx):
        ctx.set(dut.increment, round((1 << RATE_BITS) / clocks))
        ctx.set(dut.rx, 1)
        await ctx.tick().repeat(4)
        for level in line:
            ctx.set(dut.rx, level)
            _, _, arrived, error, data = await ctx.tick().sample(dut.arrived, dut.error, dut.data)
            if arrived or error:
                got.append("error" if error else data)

    simulate(dut, bench)
    return got


@pytest.mark.parametrize("clocks", [4, 4.34, 5.2, 7, 16])
@pytest.mark.parametrize("off", [-0.02, 0.0, 0.02])
def test_bytes_arrive_from_a_line_without_gaps(clocks, off):
    for phase in (0.0, 0.3, 0.6, 0.9):
        assert received(levels(BYTES, clocks * (1 + off), phase=phase), clocks) == BYTES


def test_a_byte_without_stop_bit_is_an_error_and_the_next_one_arrives():
    line = levels([0x5A], 6, stop=0) + levels([0xA5], 6)
    assert received(line, 6) == ["error", 0xA5]


def test_a_break_is_one_error():
    assert received([0] * 500 + levels([0xA5], 6), 6) == ["error", 0xA5]


def test_a_spike_is_nothing():
    spike = [1] * 20 + [0] * 2 + [1] * 20
    assert received(spike + levels([0x3C], 8), 8) == [0x3C]


@pytest.mark.parametrize("clocks", [4, 4.34, 16.7])
def test_bytes_leave_without_gaps_and_with_whole_bits(clocks):
    dut = UartTransmitter()
    line = []

    async def offer(ctx):
        ctx.set(dut.increment, round((1 << RATE_BITS) / clocks))
        ctx.set(dut.i.valid, 1)
        for byte in BYTES:
            ctx.set(dut.i.payload, byte)
            await ctx.tick().until(dut.i.ready)
        ctx.set(dut.i.valid, 0)
        assert not ctx.get(dut.idle)

    async def watch(ctx):
        for _ in range(int(clocks * 10 * (len(BYTES) + 2))):
            _, _, tx = await ctx.tick().sample(dut.tx)
            line.append(tx)
        assert ctx.get(dut.idle)

    simulate(dut, offer, watch)
    begin = line.index(0)
    for index, byte in enumerate(BYTES):
        middles = [begin + (10 * index + bit + 0.5) * clocks for bit in range(10)]
        bits = [line[int(middle)] for middle in middles]
        assert bits == [0, *(byte >> bit & 1 for bit in range(8)), 1]
