# SPDX-License-Identifier: Apache-2.0
"""Both ends of a serial line, a memory and registers around a link in the Amaranth simulator."""

import random

from amaranth.sim import Simulator

from gcnloom_hw.link.link import SerialLink
from tests.hw.link_twin import bodies_in


class Line:
    """The far end of a line whose bits take `clocks` clocks."""

    def __init__(self, ctx, rx, clocks, received):
        self.ctx, self.rx = ctx, rx
        self.clocks = clocks
        self.received = received
        self.lag, self.strict = 0.0, True

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

    def listen(self):
        """Take bytes for ever, a level of `tx` at a time; a stop bit must be one if `strict`."""
        while True:
            while (yield):
                pass
            value, clocks = 0, self.clocks
            for _ in range(round(1.5 * clocks) - 1):
                yield
            for bit in range(9):
                level = yield
                value |= level << bit
                if bit < 8:
                    for _ in range(round((bit + 2.5) * clocks) - round((bit + 1.5) * clocks) - 1):
                        yield
            assert level == 1 or not self.strict, "no stop bit"
            self.received.append(value & 0xFF)


class Bench:
    """A link with a memory that stalls, registers that take their time, and a far end."""

    def __init__(self, config, *, clocks, seed=1, stall=0.2):
        self.dut = SerialLink(config)
        self.config, self.clocks = config, clocks
        self.random, self.stall = random.Random(seed), stall
        self.memory, self.registers, self.received = {}, {}, bytearray()
        self.line = None
        self.now, self.arrivals = 0, []
        self.held = False

    def run(self, process):
        async def bench(ctx):
            self.ctx = ctx
            ctx.set(self.dut.rx, 1)
            await ctx.tick().repeat(4)
            self.line = Line(ctx, self.dut.rx, self.clocks, self.received)
            await process(self)

        simulator = Simulator(self.dut)
        simulator.add_clock(1e-6)
        simulator.add_testbench(bench)
        simulator.add_testbench(self.surroundings, background=True)
        simulator.run()

    async def surroundings(self, ctx):
        """Memory, registers and the listening end, in one process: each wake-up is dear."""
        dut, parts = self.dut, None
        reads, writes = dut.addresses, dut.writes
        signals = (
            dut.tx, dut.running, reads.valid & reads.ready, reads.payload,
            dut.words.valid & dut.words.ready, writes.valid & writes.ready, writes.p,
            dut.register_address, dut.register_write, dut.register_write_data,
        )  # fmt: skip
        ctx.set(reads.ready, 1)
        while True:
            (
                _,
                _,
                tx,
                running,
                asked,
                address,
                taken,
                written,
                write,
                *bus,
            ) = await ctx.tick().sample(*signals)
            self.now += 1
            if self.line is not None:
                parts = parts or self.parts(ctx)
                assert not (running and (asked or written))
                parts[0].send(tx)
                self.arrivals += [self.now] * (len(self.received) - len(self.arrivals))
                parts[1].send((asked, address, taken))
                parts[2].send((written, write))
                parts[3].send(bus)

    def parts(self, ctx):
        parts = [self.line.listen(), self.reads(ctx), self.writes(ctx), self.bus(ctx)]
        for part in parts:
            next(part)
        return parts

    def reads(self, ctx):
        port, words = self.dut.addresses, self.dut.words
        while True:
            asked = False
            while not asked:
                asked, address, _ = yield
            ctx.set(port.ready, 0)
            for _ in range(1 + int(self.random.random() < self.stall) * 20):
                yield
            word = self.memory.get(address, bytes(self.config.memory_bytes))
            ctx.set(words.payload, int.from_bytes(word, "little"))
            ctx.set(words.valid, 1)
            taken = False
            while not taken:
                _, _, taken = yield
            ctx.set(words.valid, 0)
            ctx.set(words.payload, self.random.getrandbits(8 * self.config.memory_bytes))
            ctx.set(port.ready, 1)

    def writes(self, ctx):
        port, size = self.dut.writes, self.config.memory_bytes
        while True:
            ctx.set(port.ready, 1)
            valid = False
            while not valid:
                valid, request = yield
            word = bytearray(self.memory.get(request.address, bytes(size)))
            new = request.data.to_bytes(size, "little")
            for lane in range(size):
                if request.mask >> lane & 1:
                    word[lane] = new[lane]
            self.memory[request.address] = bytes(word)
            ctx.set(port.ready, 0)
            for _ in range(int(self.random.random() < self.stall) * self.random.randrange(20)):
                yield
            while self.held:
                yield

    def bus(self, ctx):
        """Registers that show another's value until an address has been there for ten cycles."""
        before, steady, shown_before = None, 0, None
        while True:
            address, write, value = yield
            if write:
                self.registers[address] = value.to_bytes(4, "little")
            steady = steady + 1 if address == before else 0
            before = address
            shown = self.registers.get(address, bytes(4)) if steady >= 10 else b"late"
            if shown != shown_before:
                ctx.set(self.dut.register_read_data, int.from_bytes(shown, "little"))
            shown_before = shown

    def answers(self):
        return bodies_in(self.received)

    async def answered(self, count, *, limit=1000):
        """Wait for so many answers; fail if they do not come."""
        for _ in range(limit):
            if len(self.received) and self.received[-1] == 0x7E and len(self.answers()) >= count:
                return self.answers()
            await self.line.idle(10)
        raise AssertionError(f"{len(self.answers())} of {count} answers")
