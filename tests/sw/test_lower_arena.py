# SPDX-License-Identifier: Apache-2.0
"""Regions of an on-chip memory against a list of who wrote each address last."""

import numpy as np
import pytest

from gcnloom.lower.buffers import TURNS, Arena, NoRoomError

STEPS = 300


class Addresses:
    """What lies at each address, and which regions may not be written over."""

    def __init__(self, depth, unit):
        self.depth, self.unit = depth, unit
        self.there = [None] * depth
        self.pinned = {}

    def room(self, size):
        """Longest run of whole units that no pinned region touches is at least `size`."""
        free = np.ones(self.depth // self.unit, dtype=bool)
        for base, rows in self.pinned.values():
            free[base // self.unit : -(-(base + rows) // self.unit)] = False
        runs = "".join("x" if place else " " for place in free).split()
        return max(map(len, runs), default=0) >= -(-size // self.unit)

    def write(self, key, span, base, pinned):
        size = -(-len(span) // self.unit) * self.unit
        assert base % self.unit == 0
        assert 0 <= base <= base + size <= self.depth
        for low, rows in self.pinned.values():
            assert base >= low + rows or base + size <= low
        for offset in range(size):
            self.there[base + offset] = (key, span[offset]) if offset < len(span) else None
        if pinned:
            self.pinned[key, span] = base, len(span)

    def release(self, key, span):
        for name, rows in list(self.pinned):
            if name == key and rows.start in span:
                del self.pinned[name, rows]

    def holds(self, key, span, base):
        return [self.there[base + i] for i in range(len(span))] == [(key, row) for row in span]


@pytest.mark.parametrize("seed", range(6))
def test_pinned_regions_stay_and_what_is_found_is_there(seed):
    rng = np.random.default_rng(seed)
    unit = int(rng.choice([1, 2, 4]))
    depth = int(rng.integers(20, 50))
    arena = Arena("operand", depth, unit)
    truth = Addresses(depth - depth % unit, unit)
    refused = found = 0
    for _ in range(STEPS):
        key = str(rng.choice(list("abc")))
        start = 8 * int(rng.integers(6))
        span = range(start, start + int(rng.integers(1, 9)))
        if rng.random() < 0.3 and truth.pinned:
            key, span = list(truth.pinned)[int(rng.integers(len(truth.pinned)))]
            arena.release(key, span)
            truth.release(key, span)
            continue
        base = arena.find(key, span)
        if base is not None:
            found += 1
            assert truth.holds(key, span, base)
            continue
        pinned, high = rng.random() < 0.6, rng.random() < 0.4
        fits = truth.room(len(span))
        assert arena.fits(len(span)) == fits
        if not fits:
            refused += 1
            with pytest.raises(NoRoomError, match=f"'{key}' needs {len(span)} rows of the operand"):
                arena.place(key, span, pinned=pinned, high=high)
            continue
        base = arena.place(key, span, pinned=pinned, high=high)
        truth.write(key, span, base, pinned)
        assert arena.find(key, span) == base
    assert found > 10
    assert refused > 10


def test_a_part_of_a_region_is_found_until_something_lies_over_it():
    arena = Arena("left", 20)
    assert arena.place("a", range(10, 18)) == 0
    assert arena.find("a", range(12, 15)) == 2
    assert arena.find("a", range(12, 19)) is None
    assert arena.find("b", range(12, 15)) is None
    arena.place("b", range(11))
    assert arena.find("a", range(12, 15)) == 2
    arena.place("c", range(2))
    assert arena.find("a", range(12, 15)) is None


def test_what_is_pinned_lies_low_and_small_regions_take_turns_at_the_end():
    arena = Arena("operand", 42, 4)
    assert [arena.place("part", range(n, n + 3), high=True) for n in range(5)] == [
        36,
        32,
        28,
        36,
        32,
    ]
    assert arena.place("cache", range(5)) == 0
    assert arena.place("whole", range(7), pinned=True) == 0
    assert arena.place("more", range(7), pinned=True) == 8
    arena.release("whole", range(7))
    assert arena.place("other", range(8), pinned=True) == 0
    assert TURNS == 3


def test_a_pinned_region_in_the_way_of_a_turn_is_left_alone():
    arena = Arena("operand", 12)
    arena.place("part", range(2), high=True, pinned=True)
    arena.place("part", range(2, 4), high=True)
    arena.place("part", range(4, 6), high=True)
    assert arena.place("part", range(6, 8), high=True) == 8
    assert arena.find("part", range(2)) == 10


def test_a_pin_holds_what_was_a_cache():
    arena = Arena("operand", 8)
    arena.place("a", range(4))
    arena.pin("a", range(1, 3))
    arena.place("b", range(4))
    assert arena.place("c", range(4)) == 4
    assert arena.find("a", range(4)) == 0
    arena.pin("nothing", range(4))


def test_regions_together_begin_again_where_the_end_is_near():
    def places(size):
        arena = Arena("operand", 16, 2)
        arena.place("before", range(size))
        arena.together(2, 5)
        return [arena.place("tile", range(n, n + 5)) for n in (0, 5)]

    assert places(4) == [4, 10]
    assert places(5) == [0, 6]
