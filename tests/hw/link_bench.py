# SPDX-License-Identifier: Apache-2.0
"""Both ends of a serial line, a memory and registers around a link in the Amaranth simulator."""

import random

from amaranth.sim import Simulator

from gcnloom_hw.link.link import SerialLink
from tests.hw.link_twin import bodies_in


async def wait(ctx, cycles):
    # A simulation may end while somebody waits, which tick().repeat() does not like.
    for _ in range(cycles):
        await ctx.tick()


class Line:
    """The far end: bits to `rx`, bits from `tx`, of `clocks` clocks each."""

    def __init__(self, ctx, rx, tx, clocks, *, received=None):
        self.ctx, self.rx, self.tx = ctx, rx, tx
        self.clocks = clocks
        self.received = bytearray() if received is None else received
        self.lag = 0.0

    async def bit(self, level, length=1.0):
        self.ctx.set(self.rx, level)
        self.lag += self.clocks * length
        whole = int(self.lag)
        self.lag -= whole
        await self.ctx.tick().repeat(whole)

    async def byte(self, value, *, stop=1):
        for level in (0, *(value >> bit & 1 for bit in range(8)), stop):
            await self.bit(level)

    async def send(self, data):
        for value in data:
            await self.byte(value)

    async def idle(self, bits):
        await self.bit(1, bits)

    async def listen(self):
        """Take bytes for ever, each bit in its middle; a stop bit must be one."""
        while True:
            while self.ctx.get(self.tx):
                await self.ctx.tick()
            value, clocks = 0, self.clocks
            await wait(self.ctx, round(1.5 * clocks) - 1)
            for bit in range(8):
                value |= self.ctx.get(self.tx) << bit
                whole = round((bit + 2.5) * clocks) - round((bit + 1.5) * clocks)
                await wait(self.ctx, whole)
            assert self.ctx.get(self.tx) == 1, "no stop bit"
            self.received.append(value)


class Bench:
    """A link with a memory that stalls, registers that take their time, and a far end."""

    def __init__(self, config, *, clocks, seed=1, stall=0.2):
        self.dut = SerialLink(config)
        self.config, self.clocks = config, clocks
        self.random, self.stall = random.Random(seed), stall
        self.memory, self.registers, self.received = {}, {}, bytearray()
        self.line = None

    def run(self, process):
        async def bench(ctx):
            self.ctx = ctx
            ctx.set(self.dut.rx, 1)
            await ctx.tick().repeat(4)
            self.line = Line(ctx, self.dut.rx, self.dut.tx, self.clocks, received=self.received)
            await process(self)

        async def listen(ctx):
            while self.line is None:
                await ctx.tick()
            await Line(ctx, None, self.dut.tx, self.clocks, received=self.received).listen()

        simulator = Simulator(self.dut)
        simulator.add_clock(1e-6)
        simulator.add_testbench(bench)
        for background in (listen, self.reads, self.writes, self.bus):
            simulator.add_testbench(background, background=True)
        simulator.run()

    async def reads(self, ctx):
        port, words = self.dut.addresses, self.dut.words
        while True:
            ctx.set(port.ready, 1)
            asked = False
            while not asked:
                _, _, asked, address = await ctx.tick().sample(port.valid, port.payload)
            ctx.set(port.ready, 0)
            assert not ctx.get(self.dut.running)
            await wait(ctx, 1 + int(self.random.random() < self.stall) * 20)
            word = self.memory.get(address, bytes(self.config.memory_bytes))
            ctx.set(words.payload, int.from_bytes(word, "little"))
            ctx.set(words.valid, 1)
            taken = False
            while not taken:
                _, _, taken = await ctx.tick().sample(words.ready)
            ctx.set(words.valid, 0)
            ctx.set(words.payload, self.random.getrandbits(8 * self.config.memory_bytes))

    async def writes(self, ctx):
        port, size = self.dut.writes, self.config.memory_bytes
        while True:
            ctx.set(port.ready, 1)
            valid = False
            while not valid:
                _, _, valid, address, data, mask = await ctx.tick().sample(
                    port.valid, port.p.address, port.p.data, port.p.mask
                )
            assert not ctx.get(self.dut.running)
            word = bytearray(self.memory.get(address, bytes(size)))
            new = data.to_bytes(size, "little")
            for lane in range(size):
                if mask >> lane & 1:
                    word[lane] = new[lane]
            self.memory[address] = bytes(word)
            if self.random.random() < self.stall:
                ctx.set(port.ready, 0)
                await wait(ctx, self.random.randrange(20))

    async def bus(self, ctx):
        """Registers that show another's value until an address has been there for ten cycles."""
        dut, before, steady = self.dut, None, 0
        while True:
            _, _, address, write, value = await ctx.tick().sample(
                dut.register_address, dut.register_write, dut.register_write_data
            )
            if write:
                self.registers[address] = value.to_bytes(4, "little")
            steady = steady + 1 if address == before else 0
            before = address
            shown = self.registers.get(address, bytes(4)) if steady >= 10 else b"late"
            ctx.set(dut.register_read_data, int.from_bytes(shown, "little"))

    def answers(self):
        return bodies_in(self.received)

    async def answered(self, count, *, limit=4000):
        """Wait for so many answers; fail if they do not come."""
        for _ in range(limit):
            if len(self.received) and self.received[-1] == 0x7E and len(self.answers()) >= count:
                return self.answers()
            await self.line.idle(10)
        raise AssertionError(f"{len(self.answers())} of {count} answers")
