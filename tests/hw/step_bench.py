# SPDX-License-Identifier: Apache-2.0
"""Random weight steps, what they have to leave behind, and a bench that runs the engine on them."""

from collections import deque
from dataclasses import dataclass

import numpy as np
from amaranth.sim import Simulator

from gcnloom_hw.update.step import StepEngine
from gcnloom_spec.descent import Coefficient, step
from gcnloom_spec.isa import Source
from gcnloom_spec.number import envelope, limits, requantise
from gcnloom_spec.random import DROPOUT, ROUNDING, draw

LIMIT = 20_000
READ_LATENCY = 9
SEED, STEP = 0x1234ABCD, 1032
# Halved often enough, these steps slow the rate down by a few bits; else by more than all.


@dataclass(frozen=True)
class Work:
    """A command with its shifts, and the gradients that come to it."""

    command: dict
    sum_shift: int
    operand_shift: int
    sums: np.ndarray


@dataclass
class Figures:
    """What was counted of one command."""

    tensor: int
    slices: int = 0
    envelope: int = 0
    saturations: int = 0


def anywhere(rng, width, shape):
    """Integers of `width` bits: of every magnitude, and sometimes next to the limits."""
    low, high = limits(width)
    values = rng.integers(low, high, shape, endpoint=True) >> rng.integers(0, width, shape)
    corners = rng.choice([low, low + 1, -1, 0, 1, high - 1, high], shape)
    return np.where(rng.random(shape) < 0.1, corners, values)


def random_work(config, rng, counts):
    """Steps of `counts` vectors with memory for them: their masters differ, words of operands
    are shared by neighbours."""
    per_word = config.vector.items_per_word
    words = [config.masters.words(count) for count in counts]
    first_word = sum(words) + 64
    works, item = [], 0
    for index, count in enumerate(counts):
        offset = item % per_word
        offset += per_word * int(rng.integers((63 - offset) // per_word + 1))
        command = {
            "signals": index % 63 + 1,
            "source": Source(int(rng.integers(2))),
            "count": count,
            "address": sum(words[:index]),
            "operands": first_word + (item - offset) // per_word,
            "offset": offset,
            "tensor": int(rng.integers(128)),
            "gradient": int(rng.integers(128)),
            "momentum": int(rng.choice([0, 230, 255, rng.integers(256)])),
            "decay": int(rng.choice([0, 1, rng.integers(256)])),
            "decay_shift": int(rng.choice([0, 63, rng.integers(14, 34)])),
            "rate": int(rng.integers(256)),
            "rate_shift": int(rng.choice([0, 16, 24, 60, rng.integers(12, 34)])),
            "halving": int(rng.choice([0, 2, 4, 7, 31, rng.integers(32)])),
            "stochastic": index % 2,
            "row": int(rng.integers(1 << 31)),
            "feature": config.lanes * int(rng.integers((1 << 16) // config.lanes - 1)),
        }
        sum_shift = int(rng.choice([0, 15, 16, 17, 63, rng.integers(8, 40)]))
        operand_shift = int(rng.choice([0, 63, rng.integers(config.master_width)]))
        sums = anywhere(rng, config.sum_width, (count, config.lanes))
        works.append(Work(command, sum_shift, operand_shift, sums))
        item += count + int(rng.integers(2))
    memory = bytearray(rng.bytes((first_word + item // per_word + 1) * config.memory_bytes))
    for work in works:
        shape = (work.command["count"], 2, config.lanes)
        put_masters(config, memory, work.command, anywhere(rng, config.master_width, shape))
    return works, memory


def put_masters(config, memory, command, masters):
    """Write weights and momenta, shape (vectors, 2, lanes), as they lie in memory."""
    packing = config.masters
    start = command["address"] * config.memory_bytes
    for index, item in enumerate(masters):
        octets = item.astype(f"<i{config.master_bytes}").tobytes()
        place = start + index * packing.item_bytes
        memory[place : place + packing.item_bytes] = octets.ljust(packing.item_bytes, b"\0")


def get_masters(config, memory, command):
    start, size = command["address"] * config.memory_bytes, config.masters.item_bytes
    used = 2 * config.lanes * config.master_bytes
    items = [memory[start + size * i :][:used] for i in range(command["count"])]
    values = np.frombuffer(b"".join(items), dtype=f"<i{config.master_bytes}").astype(np.int64)
    return values.reshape(-1, 2, config.lanes)


def put_operands(config, memory, command, operands):
    size = config.vector.item_bytes
    start = command["operands"] * config.memory_bytes + command["offset"] * size
    for index, vector in enumerate(operands):
        octets = vector.astype(f"<i{config.operand_bytes}").tobytes()
        memory[start + size * index : start + size * (index + 1)] = octets.ljust(size, b"\0")


def execute(config, memory, work):
    """Do a step to memory by the contract's functions; returns its two figures."""
    command = work.command
    masters = get_masters(config, memory, command)
    rows = command["row"] + np.arange(command["count"])
    noise = [
        draw(
            seed=SEED, step=STEP, tensor=command["tensor"], purpose=purpose, rows=rows,
            feature=command["feature"], count=config.lanes,
        )
        for purpose in (DROPOUT, ROUNDING)
    ]  # fmt: skip
    slower = STEP >> command["halving"] if command["halving"] else 0
    stepped = step(
        masters[:, 0],
        masters[:, 1],
        work.sums,
        shift=work.sum_shift,
        momentum=command["momentum"],
        decay=Coefficient(command["decay"], command["decay_shift"]),
        rate=Coefficient(command["rate"], min(63, command["rate_shift"] + slower)),
        width=config.master_width,
        noise=(noise[0], noise[1]) if command["stochastic"] else None,
    )
    operands, clipped = requantise(stepped.weights, work.operand_shift, config.operand_width)
    new = np.stack([stepped.weights, stepped.momenta], axis=1)
    put_masters(config, memory, command, new)
    put_operands(config, memory, command, operands)
    count = command["count"] * config.update_slices
    return (
        Figures(command["tensor"], count, envelope(stepped.weights), clipped),
        Figures(command["gradient"], count, 0, stepped.clipped),
    )


class StepBench:
    """Runs steps on a copy of memory; each stream waits with probability `stall` in each cycle.

    Afterwards `memory` is what memory became, `memories` what it was when each command's signals
    fired, `signals` these; `measured` and `masters` are the figures of the commands, `taken` the
    cycles in which slices were taken, the first not before cycle `gradients_from`.
    """

    def __init__(self, config, memory, works, *, stall=0.0, gradients_from=0):
        self.config, self.memory = config, bytearray(memory)
        self.memories, self.signals, self.measured, self.masters = [], [], [], []
        self.reads = self.writes = self.cycles = 0
        self.taken, self.idle_after = [], False
        self.reads_before_gradients = 0
        self._works, self._stall, self._gradients_from = works, stall, gradients_from
        self._random = np.random.default_rng(4)
        self._answers = deque()
        self._refused = None
        self._open = {"measured": None, "masters": None}
        self._rested = {"measured": 4, "masters": 4}
        self.engine = engine = StepEngine(config)
        self._offers = [
            (engine.commands, deque(map(self._command, works))),
            (engine.aggregate, self._gradients(Source.AGGREGATE)),
            (engine.transform, self._gradients(Source.TRANSFORM)),
        ]
        simulator = Simulator(engine)
        simulator.add_clock(1e-6)
        simulator.add_testbench(self._run)
        simulator.run()

    @staticmethod
    def _command(work):
        command = {"opcode": 7, **work.command}
        return {"command": command, "shift0": work.sum_shift, "shift1": work.operand_shift}

    def _gradients(self, source):
        mine = [work.sums for work in self._works if work.command["source"] == source]
        return deque(vector.tolist() for sums in mine for vector in sums)

    def _willing(self):
        return bool(self._random.random() >= self._stall)

    async def _run(self, ctx):
        engine = self.engine
        ctx.set(engine.seed, SEED)
        ctx.set(engine.step, STEP)
        await ctx.tick().repeat(3)
        for self.cycles in range(LIMIT):
            for port, queue in self._offers:
                self._offer(ctx, port, queue)
            self._answer(ctx)
            ctx.set(engine.requests.ready, self._willing())
            ctx.set(engine.writes.ready, self._willing())
            self._look(ctx)
            taken = [bool(ctx.get(port.valid & port.ready)) for port, _ in self._offers]
            await ctx.tick()
            for (port, queue), took in zip(self._offers, taken, strict=True):
                if took:
                    queue.popleft()
                    ctx.set(port.valid, 0)
            if len(self.signals) == len(self._works):
                break
        self.idle_after = bool(ctx.get(engine.idle))

    def _offer(self, ctx, port, queue):
        if port is not self.engine.commands and self.cycles < self._gradients_from:
            return
        if queue and not ctx.get(port.valid) and self._willing():
            ctx.set(port.payload, queue[0])
            ctx.set(port.valid, 1)

    def _answer(self, ctx):
        """Put an answer on the words, which have to be taken at once."""
        words = self.engine.words
        due = bool(self._answers) and self._answers[0][0] <= self.cycles and self._willing()
        ctx.set(words.valid, due)
        if due:
            address, last = self._answers.popleft()[1:]
            word = self.memory[address * self.config.memory_bytes :][: self.config.memory_bytes]
            ctx.set(words.payload, {"data": int.from_bytes(word, "little"), "last": last})
            assert ctx.get(words.ready), "the engine asked for a word that it has no room for"

    def _look(self, ctx):
        """Note what happens in this cycle."""
        engine = self.engine
        if ctx.get(engine.requests.valid & engine.requests.ready):
            request = engine.requests.p
            due = self.cycles + READ_LATENCY
            self._answers.append((due, ctx.get(request.address), ctx.get(request.last)))
            self.reads += 1
            self.reads_before_gradients += self.cycles < self._gradients_from
        write = ctx.get(engine.writes.payload) if ctx.get(engine.writes.valid) else None
        assert self._refused is None or self._refused == write, "an offered write changed"
        self._refused = write
        if write is not None and ctx.get(engine.writes.ready):
            self._refused = None
            self._write(write)
        if signals := ctx.get(engine.signals):
            assert not ctx.get(engine.idle)
            self.signals.append(signals)
            self.memories.append(bytes(self.memory))
        if ctx.get(engine.active):
            self.taken.append(self.cycles)
        self._count(ctx, "measured", ctx.get(engine.measured_envelope))
        self._count(ctx, "masters", 0)

    def _write(self, write):
        self.writes += 1
        size = self.config.memory_bytes
        for index, octet in enumerate(write.data.to_bytes(size, "little")):
            if write.mask >> index & 1:
                self.memory[write.address * size + index] = octet

    def _count(self, ctx, name, mantissas):
        """Collect the figures of a command, and see that the next waits for four cycles."""
        valid, last, tensor, saturations = (
            ctx.get(getattr(self.engine, f"{name}_{figure}"))
            for figure in ("valid", "last", "tensor", "saturations")
        )
        if not valid:
            self._rested[name] += 1
            return
        figures = self._open[name]
        if figures is None:
            assert self._rested[name] >= 4
            figures = self._open[name] = Figures(tensor)
        assert figures.tensor == tensor
        figures.slices += 1
        figures.envelope |= mantissas
        figures.saturations += saturations
        self._rested[name] = 0
        if last:
            getattr(self, name).append(figures)
            self._open[name] = None
