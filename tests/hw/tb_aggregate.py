# SPDX-License-Identifier: Apache-2.0
"""A bench that runs aggregates and drains on the sparse engine as tokens would let them."""

from collections import deque

import numpy as np
from amaranth.sim import Simulator

from gcnloom_hw.aggregate.engine import AggregateEngine
from gcnloom_hw.control.tokens import SETTLE
from gcnloom_spec.isa import Unit
from tests.hw.group_writes import group_writes
from tests.hw.sparse_work import AggregateWork, DrainWork, expected

QUIET, STALLING = 0.0, 0.6
LIMIT = 20_000
WRITES = ("edge_writes", "order_writes", "operand_writes")
COUNTED = ("edges", "beats", "entries", "stalled", "hazard")


class Bench:
    """Runs commands on an engine; keeps what came out, and what happened in which cycle.

    A drain is offered no sooner than tokens of the aggregates it reads from could let it pass,
    an aggregate no sooner than a cycle after the end of the drains that read its slots; neither
    before the cycle `start` of its work. Sums are not taken before the cycle `hold`.

    With `preload` all memories are written before cycle 0; without, a command follows the last
    write for it in the next cycle.
    """

    def __init__(self, config, works, *, seed=0, stalls=QUIET, hold=0, preload=True):
        self.aggregates = [work for work in works if isinstance(work, AggregateWork)]
        self.drains = [work for work in works if isinstance(work, DrainWork)]
        self.cycle, self.beats, self.taken, self.ends = 0, [], [], []
        self.aggregated, self.drained, self.signals = [], [], []
        self.cycles = {name: [] for name in COUNTED}
        self.edges = self.idle_wrongly = 0
        self._random = np.random.default_rng(seed)
        self._stalls, self._hold, self._preload = stalls, hold, preload
        self._want = len(expected(config, works))
        self._writes = {name: deque() for name in WRITES}
        for work in works:
            self._queue_writes(work, config)
        self.engine = AggregateEngine(config)
        simulator = Simulator(self.engine)
        simulator.add_clock(1e-8)
        simulator.add_testbench(self._run)
        simulator.run()

    def _queue_writes(self, work, config):
        if isinstance(work, DrainWork):
            entries = enumerate(work.entries, work.base)
            self._queue("order_writes", work, entries, config.order_group)
        else:
            beats = enumerate(work.edges, work.base)
            self._queue("edge_writes", work, beats, config.edge_group)
            self._queue("operand_writes", work, work.operands.items(), config.vector_group, bank=5)

    def _queue(self, port, work, items, group, **bank):
        writes = group_writes(list(items), group, self._random, **bank)
        self._writes[port].extend((work, write) for write in writes)

    async def _run(self, ctx):
        if self._preload:
            while any(self._writes.values()):
                await self._tick(ctx)
            self.cycle = 0
        while len(self.beats) < self._want or len(self.signals) < len(self.aggregates):
            if self.cycle > LIMIT:
                raise TimeoutError(
                    f"{len(self.beats)} of {self._want} beats and {len(self.signals)} of "
                    f"{len(self.aggregates)} signals after {self.cycle} cycles"
                )
            self._offer(ctx, self.engine.aggregates, self._next_aggregate())
            self._offer(ctx, self.engine.drains, self._next_drain())
            ctx.set(
                self.engine.sums.ready,
                self.cycle >= self._hold and self._random.random() >= self._stalls,
            )
            await self._tick(ctx)
        ctx.set(self.engine.sums.ready, 0)
        for _ in range(12):
            await self._tick(ctx)
        self.idle_after = bool(
            ctx.get(self.engine.aggregate_idle) and ctx.get(self.engine.drain_idle)
        )

    def _offer(self, ctx, port, command):
        ctx.set(port.valid, command is not None)
        if command is not None:
            ctx.set(port.payload, command)

    def _next_aggregate(self):
        index = len(self.aggregated)
        if index == len(self.aggregates):
            return None
        work = self.aggregates[index]
        may = len(self.ends) >= work.after and self.cycle >= work.start and self._written(work)
        return work.command(self.signal_of(index)) if may else None

    def _next_drain(self):
        index = len(self.drained)
        if index == len(self.drains):
            return None
        work = self.drains[index]
        may = len(self.signals) >= work.after and self.cycle >= work.start and self._written(work)
        if may and work.after:
            signalled, _ = self.signals[work.after - 1]
            may = self.cycle >= signalled + SETTLE + 1
        return work.command() if may else None

    def _written(self, work):
        return not any(work is other for queue in self._writes.values() for other, _ in queue)

    def signal_of(self, index):
        """Signals of an aggregate: never none, and not those of the one before."""
        return 1 + 7 * index % ((1 << len(Unit)) - 1)

    async def _tick(self, ctx):
        engine = self.engine
        for name, queue in self._writes.items():
            port = getattr(engine, name)
            stalled = name == "operand_writes" and self._random.random() < self._stalls
            ctx.set(port.valid, bool(queue) and not stalled)
            if queue and not stalled:
                ctx.set(port.payload, queue.popleft()[1])
        sums = engine.sums
        values = await ctx.tick().sample(
            engine.aggregates.valid & engine.aggregates.ready,
            engine.drains.valid & engine.drains.ready,
            sums.valid & sums.ready,
            sums.payload,
            engine.signals,
            engine.aggregate_idle,
            engine.drain_idle,
            *(getattr(engine, name) for name in COUNTED),
        )
        self._note(*values[2:])
        self.cycle += 1

    def _note(self, aggregated, drained, took, beat, signals, aggregate_idle, drain_idle, *counts):
        now = self.cycle
        self.idle_wrongly += drain_idle and len(self.drained) > len(self.ends)
        if self.aggregated:
            count = max(1, self.aggregates[len(self.aggregated) - 1].count)
            self.idle_wrongly += aggregate_idle != (now > self.aggregated[-1] + count)
        if aggregated:
            self.aggregated.append(now)
        if drained:
            self.drained.append(now)
        if took:
            self.beats.append((beat.emit, beat.last, list(beat.sums) if beat.emit else None))
            self.taken.append(now)
            if beat.last:
                self.ends.append(now)
        if signals:
            self.signals.append((now, signals))
        for name, value in zip(COUNTED, counts, strict=True):
            if value:
                self.cycles[name].append(now)
        self.edges += counts[COUNTED.index("edges")]
