# SPDX-License-Identifier: Apache-2.0
"""Random work for the sparse engine, the loops that say what it means, and a bench to run it."""

from dataclasses import dataclass, field

import numpy as np
from amaranth.sim import Simulator

from gcnloom_hw.aggregate.engine import AggregateEngine
from gcnloom_spec.isa import HAZARD_DISTANCE

QUIET, STALLING = 0.0, 0.6
LIMIT = 20_000


@dataclass
class Work:
    """One command with everything it reads."""

    drain: int
    base: int
    operand_base: int = 0
    edges: list = field(default_factory=list)
    entries: list = field(default_factory=list)
    operands: dict = field(default_factory=dict)

    @property
    def count(self):
        return len(self.entries if self.drain else self.edges)


class Workload:
    """Random legal commands of one seed."""

    def __init__(self, config, seed):
        self.config = config
        self.random = np.random.default_rng(seed)
        # Few slots, so that most of them come back after exactly the allowed distance.
        self.slots = min(config.accumulator_depth, HAZARD_DISTANCE + 2)
        self.slot_base = int(self.random.integers(config.accumulator_depth - self.slots + 1))
        self.touched = set()

    def operand(self):
        half = 1 << (self.config.operand_width - 1)
        extreme = self.random.random() < 0.3
        return int(
            self.random.choice([-half, half - 1]) if extreme else self.random.integers(-half, half)
        )

    def aggregate(self, base, count, operand_base, rows):
        work = Work(drain=0, base=base, operand_base=operand_base)
        for row in range(rows):
            work.operands[operand_base + row] = [self.operand() for _ in range(self.config.lanes)]
        recent = [[] for _ in range(self.config.pes)]
        for _ in range(count):
            work.edges.append([self._edge(pe, recent[pe], rows) for pe in range(self.config.pes)])
        return work

    def _edge(self, pe, recent, rows):
        valid = self.random.random() < 0.8
        slot = self.slot_base + int(self.random.integers(self.slots))
        if valid:
            free = [
                self.slot_base + slot
                for slot in range(self.slots)
                if self.slot_base + slot not in recent[-(HAZARD_DISTANCE - 1) :]
            ]
            slot = int(self.random.choice(free))
        recent.append(slot if valid else None)
        first = (pe, slot) not in self.touched or self.random.random() < 0.1
        if valid:
            self.touched.add((pe, slot))
        column = int(self.random.integers(rows))
        return {
            "column": column,
            "slot": slot,
            "weight": self.operand(),
            "first": int(first),
            "valid": int(valid),
        }

    def drain(self, base, count, split=0.5):
        known = sorted(self.touched)
        picks = [known[self.random.integers(len(known))] for _ in range(count)]
        lasts = [int(self.random.random() >= split) for _ in picks[:-1]] + [1]
        entries = [
            {"pe": pe, "slot": slot, "last": last}
            for (pe, slot), last in zip(picks, lasts, strict=True)
        ]
        return Work(drain=1, base=base, entries=entries)

    def program(self, pairs, length):
        """Aggregates and drains in turn and in runs; tables and operands do not overlap."""
        works, edge_base, order_base, operand_base = [], 3, 2, 0
        for _ in range(pairs):
            for _ in range(int(self.random.integers(1, 3))):
                count = int(self.random.integers(1, length))
                rows = int(self.random.integers(1, 9))
                works.append(self.aggregate(edge_base, count, operand_base, rows))
                edge_base += count
                operand_base += rows
            for _ in range(int(self.random.integers(1, 3))):
                count = int(self.random.integers(1, length))
                if self.touched:
                    works.append(self.drain(order_base, count))
                    order_base += count
        return works


def expected(config, works):
    """Beats ``(emit, last, sums or None)`` by the commands' loops, in plain integers."""
    half = 1 << (config.sum_width - 1)
    operands, sums, beats = {}, {}, []
    for work in works:
        operands |= work.operands
        for beat in work.edges:
            for pe, edge in enumerate(beat):
                if edge["valid"]:
                    row = operands[work.operand_base + edge["column"]]
                    old = [0] * config.lanes if edge["first"] else sums[pe, edge["slot"]]
                    sums[pe, edge["slot"]] = [
                        o + edge["weight"] * x for o, x in zip(old, row, strict=True)
                    ]
        total = [0] * config.lanes
        for index, entry in enumerate(work.entries):
            row = sums[entry["pe"], entry["slot"]]
            total = [t + x for t, x in zip(total, row, strict=True)]
            if entry["last"]:
                last = int(index == work.count - 1)
                beats.append((1, last, [(t + half) % (2 * half) - half for t in total]))
                total = [0] * config.lanes
        if not work.entries:
            beats.append((0, 1, None))
    return beats


class Bench:
    """Runs commands on an engine; keeps what came out, and when commands went in."""

    def __init__(self, config, works, *, seed=0, stalls=QUIET, hold=0, preload=True):
        self.works = works
        self.beats, self.accepted = [], []
        self.counted = dict.fromkeys(("edges", "beats", "entries", "active", "stalled"), 0)
        self.engine = AggregateEngine(config)
        self._random = np.random.default_rng(seed)
        self._stalls, self._hold, self._preload = stalls, hold, preload
        self._written, self._sent, self.idle_wrongly = -1, 0, 0
        self._want = len(expected(config, works))
        self._run()

    def _run(self):
        simulator = Simulator(self.engine)
        simulator.add_clock(1e-8)
        simulator.add_testbench(self._write_and_command)
        simulator.add_testbench(self._collect)
        simulator.add_testbench(self._count, background=True)
        for process in (self._write_operands, self._write_tables):
            simulator.add_testbench(process)
        simulator.run()

    async def _send(self, ctx, port, payload, stalls):
        while self._random.random() < stalls:
            await ctx.tick()
        ctx.set(port.payload, payload)
        ctx.set(port.valid, 1)
        await ctx.tick().until(port.ready)
        ctx.set(port.valid, 0)

    async def _write_tables(self, ctx):
        engine = self.engine
        for work in self.works:
            for index, beat in enumerate(work.edges):
                await self._send(
                    ctx, engine.edge_writes, {"address": work.base + index, "data": beat}, 0
                )
            for index, entry in enumerate(work.entries):
                await self._send(
                    ctx, engine.order_writes, {"address": work.base + index, "data": entry}, 0
                )
        self._tables = True

    async def _write_operands(self, ctx):
        for index, work in enumerate(self.works):
            # Write a command's operands while the one before it runs.
            while not self._preload and self._sent < index:
                await ctx.tick()
            for address, row in work.operands.items():
                await self._send(
                    ctx,
                    self.engine.operand_writes,
                    {"address": address, "bank": 5, "data": row},
                    self._stalls,
                )
            self._written = index

    async def _write_and_command(self, ctx):
        self._tables = False
        while not self._tables or (self._preload and self._written < len(self.works) - 1):
            await ctx.tick()
        for index, work in enumerate(self.works):
            while self._written < index:
                await ctx.tick()
            command = {
                "drain": work.drain,
                "base": work.base,
                "count": work.count,
                "operand_base": work.operand_base,
            }
            await self._send(ctx, self.engine.commands, command, 0)
            self._sent = index + 1

    async def _collect(self, ctx):
        sums = self.engine.sums
        cycle = 0
        while len(self.beats) < self._want:
            if cycle > LIMIT:
                raise TimeoutError(f"{len(self.beats)} of {self._want} beats after {cycle} cycles")
            ready = cycle >= self._hold and self._random.random() >= self._stalls
            ctx.set(sums.ready, ready)
            if ctx.get(sums.valid) and ready:
                beat = ctx.get(sums.payload)
                self.beats.append((beat.emit, beat.last, list(beat.sums) if beat.emit else None))
            await ctx.tick()
            cycle += 1
        ctx.set(sums.ready, 0)
        for _ in range(12):
            await ctx.tick()
        self.idle_after = ctx.get(self.engine.idle)

    async def _count(self, ctx):
        engine, cycle, open_commands = self.engine, 0, 0
        names = list(self.counted)
        async for _, _, accepted, ended, idle, *values in ctx.tick().sample(
            engine.commands.valid & engine.commands.ready,
            engine.sums.valid & engine.sums.ready & engine.sums.p.last,
            engine.idle,
            *(getattr(engine, name) for name in names),
        ):
            self.idle_wrongly += idle and open_commands > 0
            open_commands += accepted - ended
            if accepted:
                self.accepted.append(cycle)
            for name, value in zip(names, values, strict=True):
                self.counted[name] += value
            cycle += 1
