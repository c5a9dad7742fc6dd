# SPDX-License-Identifier: Apache-2.0
"""Random work for the sparse engine, and the loops that say what it means."""

from dataclasses import dataclass, field

import numpy as np

from gcnloom_spec.isa import HAZARD_DISTANCE

HALVES = 2


@dataclass
class AggregateWork:
    """An Aggregate with everything it reads; `after`: drains whose slots it may take."""

    base: int
    edges: list
    operand_base: int = 0
    slot_base: int = 0
    operands: dict = field(default_factory=dict)
    after: int = 0
    start: int = 0

    @property
    def count(self):
        return len(self.edges)

    def command(self, signals):
        return {
            "edge_base": self.base,
            "count": self.count,
            "operand_base": self.operand_base,
            "slot_base": self.slot_base,
            "signals": signals,
        }


@dataclass
class DrainWork:
    """A Drain with its order; `after`: aggregates whose sums it reads."""

    base: int
    entries: list
    slot_base: int = 0
    after: int = 0
    start: int = 0

    @property
    def count(self):
        return len(self.entries)

    def command(self):
        return {"order_base": self.base, "count": self.count, "slot_base": self.slot_base}


class Workload:
    """Random legal commands of one seed.

    Aggregates fill one half of the accumulators while drains empty the other, as tokens allow.
    """

    def __init__(self, config, seed, *, valid=0.8, first=0.1):
        self.config = config
        self.random = np.random.default_rng(seed)
        self._valid, self._first = valid, first
        half = config.accumulator_depth // HALVES
        # Few slots, so that most of them come back after exactly the allowed distance.
        self.slots = min(half, HAZARD_DISTANCE + 2)
        self.lows = [self._upto(half - self.slots) + index * half for index in range(HALVES)]
        self.touched = [set() for _ in range(HALVES)]
        self.aggregates = self.drains = 0
        self._recent = [[] for _ in range(config.pes)]
        self._free_after = [0] * HALVES
        self._edge_base, self._order_base, self._operand_base = 3, 2, 0

    def _upto(self, most):
        return int(self.random.integers(most + 1))

    def operand(self):
        half = 1 << (self.config.operand_width - 1)
        extreme = self.random.random() < 0.3
        return int(
            self.random.choice([-half, half - 1]) if extreme else self.random.integers(-half, half)
        )

    def aggregate(self, count, half=0):
        """Write `count` beats that follow those of the aggregate before without a pause."""
        rows = 1 + self._upto(7)
        banks = self.config.operand_banks
        if banks:
            self._operand_base += -self._operand_base % banks
        work = AggregateWork(self._edge_base, [], self._operand_base, self._upto(self.lows[half]))
        work.operands = {
            self._operand_base + row: [self.operand() for _ in range(self.config.lanes)]
            for row in range(rows)
        }
        for _ in range(count):
            columns = range(rows)
            beat = []
            for pe in range(self.config.pes):
                beat.append(self._edge(pe, half, work.slot_base, columns))
                if banks and beat[-1]["valid"]:
                    read = beat[-1]["column"] % banks
                    columns = [column for column in columns if column % banks != read]
            work.edges.append(beat)
        if not count:  # takes a cycle
            for recent in self._recent:
                recent.append(None)
        work.after = self._free_after[half]
        self._edge_base += count
        self._operand_base += rows
        self.aggregates += 1
        return work

    def _edge(self, pe, half, slot_base, columns):
        """Write an edge that reads one of `columns`."""
        recent = self._recent[pe]
        low = self.lows[half]
        near = recent[1 - HAZARD_DISTANCE :]
        free = [slot for slot in range(low, low + self.slots) if slot not in near]
        valid = bool(free) and bool(columns) and self.random.random() < self._valid
        slot = int(self.random.choice(free)) if valid else low + self._upto(self.slots - 1)
        recent.append(slot if valid else None)
        first = (pe, slot) not in self.touched[half] or self.random.random() < self._first
        if valid:
            self.touched[half].add((pe, slot))
        return {
            "column": columns[self._upto(len(columns) - 1)] if columns else 0,
            "slot": slot - slot_base,
            "weight": self.operand(),
            "first": int(first),
            "valid": int(valid),
        }

    def drain(self, count, half=0, *, split=0.5, picks=None):
        """Write a drain of sums of all aggregates so far; `picks` chooses them."""
        slot_base = self._upto(self.lows[half])
        known = sorted(self.touched[half])
        if picks is None:
            picks = self.random.integers(len(known), size=count)
        entries = [
            {
                "pe": known[pick % len(known)][0],
                "slot": known[pick % len(known)][1] - slot_base,
                "last": int(self.random.random() >= split or index == count - 1),
            }
            for index, pick in enumerate(picks)
        ]
        work = DrainWork(self._order_base, entries, slot_base, after=self.aggregates)
        self._order_base += count
        self.drains += 1
        self._free_after[half] = self.drains
        return work

    def program(self, rounds, length):
        """Write rounds of aggregates, then drains of the same half; rounds take turns."""
        works = []
        for turn in range(rounds):
            half = turn % HALVES
            for _ in range(1 + self._upto(1)):
                works.append(self.aggregate(self._upto(length), half))
            for _ in range(1 + self._upto(1)):
                if self.touched[half]:
                    works.append(self.drain(1 + self._upto(length - 1), half))
        return works


def expected(config, works):
    """Beats ``(emit, last, sums or None)`` by the commands' loops, in plain integers."""
    half = 1 << (config.sum_width - 1)
    operands, sums, beats = {}, {}, []
    for work in works:
        if isinstance(work, AggregateWork):
            operands |= work.operands
            for beat in work.edges:
                _accumulate(work, beat, operands, sums)
            continue
        total = [0] * config.lanes
        for index, entry in enumerate(work.entries):
            row = sums[entry["pe"], work.slot_base + entry["slot"]]
            total = [t + x for t, x in zip(total, row, strict=True)]
            if entry["last"]:
                last = int(index == work.count - 1)
                beats.append((1, last, [(t + half) % (2 * half) - half for t in total]))
                total = [0] * config.lanes
        if not work.entries:
            beats.append((0, 1, None))
    return beats


def _accumulate(work, beat, operands, sums):
    for pe, edge in enumerate(beat):
        if edge["valid"]:
            row = operands[work.operand_base + edge["column"]]
            place = pe, work.slot_base + edge["slot"]
            # A memory that was never written holds zeros.
            old = [0] * len(row) if edge["first"] else sums.get(place, [0] * len(row))
            sums[place] = [o + edge["weight"] * x for o, x in zip(old, row, strict=True)]


def distances(config, works):
    """Beats between two edges of one PE and slot, over all aggregates as one sequence."""
    found, beat, last = set(), 0, {}
    for work in works:
        if not isinstance(work, AggregateWork):
            continue
        for edges in work.edges:
            for pe in range(config.pes):
                place = pe, work.slot_base + edges[pe]["slot"]
                if edges[pe]["valid"]:
                    found |= {beat - last[place]} if place in last else set()
                    last[place] = beat
            beat += 1
        beat += not work.count
    return found
