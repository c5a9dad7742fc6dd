# SPDX-License-Identifier: Apache-2.0
"""Reads and writes for an SDRAM controller, and what becomes of them clock by clock."""

from collections import deque
from dataclasses import dataclass, field

from amaranth.sim import Simulator

from gcnloom_hw.dram.config import SdramConfig
from gcnloom_hw.dram.controller import SdramController
from gcnloom_hw.memory.tiered import TieredMemory

PINS = ("clk_en", "cs", "ras", "cas", "we", "ba", "a", "dqm", "dq_o", "dq_oe")


@dataclass
class Traffic:
    """A run: requests in, answers compared with a plain memory as they come.

    With `near_words` so many lie in block RAM in front of the controller.
    """

    config: SdramConfig
    chip: object
    reads: list
    writes: list
    stalls: object = None
    limit: int = 200_000
    near_words: int = 0
    memory: dict = field(default_factory=dict)
    expected: deque = field(default_factory=deque)
    asked: list = field(default_factory=list)
    accepted: list = field(default_factory=list)
    answered: list = field(default_factory=list)
    wrote: list = field(default_factory=list)

    def write(self, address, data, mask):
        """What a byte-masked write makes of a word."""
        kept = sum(0xFF << 8 * lane for lane in range(self.config.memory_bytes) if mask >> lane & 1)
        self.memory[address] = (self.memory.get(address, 0) & ~kept) | (data & kept)

    def run(self):
        """Simulate until all is answered; return the clocks from the first request accepted."""
        memory = controller = SdramController(self.config)
        if self.near_words:
            memory = TieredMemory(
                memory_bytes=self.config.memory_bytes, near_words=self.near_words, far=controller
            )
        simulator = Simulator(memory)
        simulator.add_clock(1e-6)

        async def bench(ctx):
            await self.bench(ctx, memory)

        simulator.add_testbench(bench)
        simulator.run()
        begin = min(self.asked[:1] + self.wrote[:1])
        return max(self.answered[-1:] + self.wrote[-1:]) - begin

    def stalled(self):
        return self.stalls is not None and self.stalls.random() < 0.4

    async def bench(self, ctx, memory):
        addresses, writes, answers = memory.addresses, memory.writes, memory.answers
        reads, stores = deque(self.reads), deque(self.writes)
        total = len(reads)
        pins = [getattr(memory.pins, name) for name in PINS]
        late = deque([0] * self.config.input_delay)
        reading = writing = False
        for clock in range(self.limit):
            if not reading and reads and not self.stalled():
                reading = True
                ctx.set(addresses.payload, reads[0])
            if not writing and stores and not self.stalled():
                writing = True
                address, data, mask = stores[0]
                ctx.set(writes.payload, {"address": address, "data": data, "mask": mask})
            ctx.set(addresses.valid, reading)
            ctx.set(writes.valid, writing)
            ctx.set(answers.ready, not self.stalled())
            _, _, *values = await ctx.tick().sample(
                addresses.ready, writes.ready, answers.valid, answers.ready, answers.payload, *pins
            )
            take_read, take_write, valid, ready, payload, *levels = values
            if writing and take_write:
                self.write(*stores.popleft())
                self.wrote.append(clock)
                writing = False
            if reading and take_read:
                self.expected.append(self.memory.get(reads.popleft(), 0))
                self.asked.append(clock)
                reading = False
            if valid and ready:
                word = self.expected.popleft()
                assert payload == word, f"answer {len(self.answered)}: {payload:x}, not {word:x}"
                self.answered.append(clock)
            late.append(self.chip.clock(dict(zip(PINS, levels, strict=True))))
            ctx.set(memory.pins.dq_i, late.popleft())
            if len(self.answered) == total and not stores and not self.chip.input:
                break
        else:
            raise AssertionError(f"{len(self.answered)} of {total} after {self.limit} clocks")
        # What was written last still has to reach the part.
        ctx.set(writes.valid, 0)
        for _ in range(100 + 40 * self.config.transfers):
            values = await ctx.tick().sample(*pins)
            self.chip.clock(dict(zip(PINS, values[2:], strict=True)))
