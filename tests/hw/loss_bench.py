# SPDX-License-Identifier: Apache-2.0
"""Losses in device memory: rows placed byte by byte, and an engine run on them."""

from collections import deque
from dataclasses import dataclass, field

import numpy as np
from amaranth.sim import Simulator

from gcnloom_hw.update.loss import LossEngine
from gcnloom_spec.items import LABEL, RECORD, Split
from gcnloom_spec.number import envelope, requantise
from gcnloom_spec.softmax import softmax

__all__ = ["Bench", "Task", "Tasks"]

MEMORY_WORDS = 1 << 14
LIMIT = 60_000


@dataclass
class Task:
    """One command, with what it reads and what is to come of it."""

    logits: np.ndarray
    labels: np.ndarray
    splits: np.ndarray
    panels: int
    shifts: tuple[int, int]
    multiplier: int
    tensor: int
    step: int
    signals: int
    gradient: int = 1
    judged: int = 0
    first: int = 1
    fields: dict = field(default_factory=dict)
    measured: tuple = ()
    train_loss: int = 0
    val_loss: int = 0


class Tasks:
    """Lays tasks out in a memory, and works out what the memory is afterwards."""

    def __init__(self, config, tasks, rng):
        self.config, self.tasks = config, tasks
        self.before = bytearray(rng.bytes(MEMORY_WORDS * config.memory_bytes))
        self._free = 3
        for task in tasks:
            self._lay(task, rng)
        self.after = bytearray(self.before)
        self._totals = [0] * 6
        for task in tasks:
            self._do(task)

    def _region(self, packing, count):
        """Words for items, and some that stay as they are."""
        first = self._free
        self._free += packing.words(count) + 2
        assert self._free < MEMORY_WORDS
        return first

    def _put(self, memory, octets, packing, word, index):
        start = word * self.config.memory_bytes + index * packing.item_bytes
        memory[start : start + len(octets)] = octets

    def _lay(self, task, rng):
        config, count = self.config, len(task.logits)
        labels = self._region(config.label, count)
        packed = LABEL.pack(label=task.labels, split=task.splits)[:, 0]
        for index, bits in enumerate(packed):
            # What a label leaves of its bytes may be anything.
            octets = (int(bits) | int(rng.integers(4)) << LABEL.width).to_bytes(2, "little")
            self._put(self.before, octets, config.label, labels, index)
        address, pitch = self._panels(config.sums, task, count)
        gradients, gradient_pitch = self._panels(config.vector, task, count)
        low = -(1 << config.sum_width - 1)
        for (row, column), logit in np.ndenumerate(self._padded(task, rng, low)):
            panel, lane = divmod(column, config.lanes)
            bits = int(logit) % (1 << 8 * config.sum_bytes)
            start = (address + panel * pitch) * config.memory_bytes
            start += row * config.sums.item_bytes + lane * config.sum_bytes
            self.before[start : start + config.sum_bytes] = bits.to_bytes(
                config.sum_bytes, "little"
            )
        task.fields = {
            "signals": task.signals, "gradient": task.gradient, "judged": task.judged,
            "first": task.first, "count": count, "panels": task.panels,
            "classes": task.logits.shape[1], "address": address, "pitch": pitch,
            "labels": labels, "gradients": gradients, "gradient_pitch": gradient_pitch,
            "record": self._region(config.record, task.step % 64 + 1)
            - config.record.words(task.step // 64 * 64),
            "multiplier": task.multiplier, "tensor": task.tensor, "logits": 3,
        }  # fmt: skip
        task.fields["record"] %= 1 << 32

    def _panels(self, packing, task, count):
        firsts = [self._region(packing, count) for _ in range(task.panels)]
        return firsts[0], (firsts[1] - firsts[0] if task.panels > 1 else 0)

    def _padded(self, task, rng, low):
        """Logits with anything in the lanes that are no classes."""
        count, classes = task.logits.shape
        lanes = task.panels * self.config.lanes
        wide = rng.integers(low, -low, (count, lanes), dtype=np.int64)
        wide[:, :classes] = task.logits
        return wide

    def _do(self, task):
        config, fields = self.config, task.fields
        result = softmax(task.logits, task.labels, shift=task.shifts[0], multiplier=task.multiplier)
        if task.first:
            self._totals = [0] * 6
        for number, split in enumerate((Split.TRAIN, Split.VAL, Split.TEST)):
            mine = task.splits == split
            self._totals[2 * number] += int(result.losses[mine].sum())
            self._totals[2 * number + 1] += int(result.correct[mine].sum())
        task.train_loss, task.val_loss = self._totals[0], self._totals[2]
        task.measured = (task.tensor, 0, 0)
        if task.gradient:
            exact = np.where(task.splits[:, None] == Split.TRAIN, result.gradient, 0)
            operands, clipped = requantise(exact, task.shifts[1], config.operand_width)
            task.measured = (task.tensor, envelope(exact), clipped)
            self._write_gradients(operands, task.panels, fields)
        packed = RECORD.pack(**dict(zip(RECORD.fields, self._totals, strict=True)))
        octets = packed.tobytes().ljust(32, b"\0")
        # Records of steps far from the first one lie where addresses wrap.
        word = fields["record"] + config.record.words(task.step + 1)
        word = (word - config.record.words_per_item) % (1 << 32)
        item = task.step % config.record.items_per_word
        self._put(self.after, octets, config.record, word, item)

    def _write_gradients(self, operands, panels, fields):
        config = self.config
        lanes = np.zeros((len(operands), panels * config.lanes), dtype=np.int64)
        lanes[:, : operands.shape[1]] = operands
        for row, vector in enumerate(lanes):
            for panel in range(panels):
                part = vector[panel * config.lanes :][: config.lanes]
                octets = part.astype(f"<i{config.operand_bytes}").tobytes()
                word = fields["gradients"] + panel * fields["gradient_pitch"]
                octets = octets.ljust(config.vector.item_bytes, b"\0")
                self._put(self.after, octets, config.vector, word, row)


class Bench:
    """Runs tasks; each stream waits with probability `stall` in each cycle."""

    def __init__(self, tasks, *, stall=0.0, latency=3, seed=5):
        self.config, self.engine = tasks.config, LossEngine(tasks.config)
        self.memory = bytearray(tasks.before)
        self.signals, self.losses, self.judged, self.measured = [], [], [], []
        self.cycles, self.last_write = [], []
        self._stall, self._latency = stall, latency
        self._random = np.random.default_rng(seed)
        self._tasks = tasks.tasks
        self._figures = None
        self._wrote = False
        self._answers = deque()
        simulator = Simulator(self.engine)
        simulator.add_clock(1e-6)
        simulator.add_testbench(self._run)
        simulator.run()

    def _willing(self):
        return self._stall == 0 or bool(self._random.random() >= self._stall)

    async def _run(self, ctx):
        self.idle_before = bool(ctx.get(self.engine.idle))
        for task in self._tasks:
            ctx.set(self.engine.step, task.step)
            await self._command(ctx, task)
        self.idle_after = bool(ctx.get(self.engine.idle))

    async def _command(self, ctx, task):
        """Offer a command; serve memory until it signals."""
        engine = self.engine
        command = {"command": task.fields, "shift0": task.shifts[0], "shift1": task.shifts[1]}
        ctx.set(engine.commands.payload, command)
        ctx.set(engine.commands.valid, 1)
        self._figures = []
        for cycle in range(LIMIT):
            if not ctx.get(engine.words.valid) and self._answers and self._willing():
                due, word = self._answers[0]
                if due <= cycle:
                    ctx.set(engine.words.payload, word)
                    ctx.set(engine.words.valid, 1)
            ctx.set(engine.requests.ready, self._willing())
            ctx.set(engine.writes.ready, self._willing())
            if await self._cycle(ctx, cycle):
                self.cycles.append(cycle)
                await ctx.tick()
                self.losses.append(ctx.get(engine.train_loss))
                self.measured.append(self._figures)
                return
        raise TimeoutError(f"no signal in {LIMIT} cycles")

    async def _cycle(self, ctx, cycle):
        engine = self.engine
        streams = (engine.commands, engine.words, engine.requests, engine.writes)
        _, _, *values = await ctx.tick().sample(
            *(port.valid & port.ready for port in streams), engine.requests.payload,
            engine.writes.payload, engine.signals, engine.judge, engine.val_loss,
            engine.measured_valid, engine.measured_last, engine.measured_tensor,
            engine.measured_envelope, engine.measured_saturations,
        )  # fmt: skip
        (took, answered, asked, wrote, request, write, signals, judge, val_loss), figures = (
            values[:9], values[9:],
        )  # fmt: skip
        if took:
            ctx.set(engine.commands.valid, 0)
        if answered:
            self._answers.popleft()
            ctx.set(engine.words.valid, 0)
        size = self.config.memory_bytes
        if asked:
            word = int.from_bytes(self.memory[request.address * size :][:size], "little")
            answer = {"data": word, "last": request.last}
            self._answers.append((cycle + self._latency, answer))
        if signals:
            assert self._wrote, "signals come in the cycle after the last write"
        self._wrote = wrote
        if wrote:
            self._write(write, size)
        if figures[0]:
            self._figures.append(tuple(figures[1:]))
        if judge:
            assert signals
            self.judged.append(val_loss)
        if signals:
            self.signals.append(signals)
        return signals

    def _write(self, write, size):
        octets = write.data.to_bytes(size, "little")
        for index in range(size):
            if write.mask >> index & 1:
                self.memory[write.address * size + index] = octets[index]
