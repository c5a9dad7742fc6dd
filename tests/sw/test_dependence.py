# SPDX-License-Identifier: Apache-2.0
"""Units that run as freely as tokens allow keep every conflicting pair in program order."""

from dataclasses import replace

import numpy as np
import pytest

from gcnloom.programs import dependence
from gcnloom.programs.access import Access, Reach, accesses_of
from gcnloom.programs.dependence import insert_tokens
from gcnloom_spec.commands import Aggregate, Drain, Emission, Load, Scale, Store, Transform
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import Destination, Mode, Source, Target, Unit

IN_FLIGHT = 3
UNITS = len(Unit)
OWN = "abcdef"
"""The memory that each unit writes."""
MAKERS = [
    lambda: Load(target=0, base=0, count=1, address=0),
    lambda: Aggregate(edge_base=0, count=1, operand_base=0),
    lambda: Drain(order_base=0, count=1, emission=Emission(vectors=1)),
    lambda: Transform(mode=0, count=1),
    lambda: Store(source=0, count=1, address=0),
    lambda: Scale(rule=0, tensor=1),
]


def random_accesses(rng, count):
    """Commands of random units that touch random intervals of two small memories."""
    commands, accesses = [], []
    for _ in range(count):
        unit = int(rng.integers(UNITS))
        touched = []
        for _ in range(int(rng.integers(0, 4))):
            low = int(rng.integers(12))
            high = low + int(rng.integers(1, 5))
            space, write = (OWN[unit], True) if rng.random() < 0.5 else ("", False)
            if not write:
                space = OWN[rng.integers(UNITS)]
            if rng.random() < 0.3:
                space, write = "shared", True
            touched.append(Access(space, low, high, write))
        commands.append(MAKERS[unit]())
        accesses.append(touched)
    return commands, accesses


def run_freely(commands, rng):
    """Start and finish commands in any order that queues and tokens allow; return the times."""
    queues = [[i for i, c in enumerate(commands) if c.unit == unit] for unit in Unit]
    flying = [[] for _ in Unit]
    tokens = np.zeros((UNITS, UNITS), dtype=int)
    start, end, most, clock = {}, {}, 0, 0
    while any(queues) or any(flying):
        moves = []
        for unit in Unit:
            if flying[unit]:
                moves.append((unit, "finish"))
            if queues[unit] and len(flying[unit]) < IN_FLIGHT:
                waits = commands[queues[unit][0]].waits
                if all(tokens[v, unit] for v in Unit if waits >> v & 1):
                    moves.append((unit, "start"))
        assert moves, "the program is stuck"
        unit, move = moves[rng.integers(len(moves))]
        clock += 1
        if move == "start":
            index = queues[unit].pop(0)
            start[index] = clock
            flying[unit].append(index)
            for v in Unit:
                tokens[v, unit] -= commands[index].waits >> v & 1
        else:
            index = flying[unit].pop(0)
            end[index] = clock
            for v in Unit:
                tokens[unit, v] += commands[index].signals >> v & 1
            most = max(most, int(tokens.max()))
    assert not tokens.any(), "tokens are left over"
    return start, end, most


def violations(commands, accesses, start, end):
    """Conflicting pairs that overlapped or swapped, but for those a unit orders by itself."""
    wrong = []
    for late, after in enumerate(accesses):
        for early, before in enumerate(accesses[:late]):
            if end[early] > start[late]:
                foreign = commands[early].unit != commands[late].unit
                wrong += [
                    (early, late)
                    for x in before
                    for y in after
                    if x.space == y.space
                    and (x.write or (y.write and foreign))
                    and (foreign or not y.write)
                    and x.low < y.high
                    and y.low < x.high
                ]
    return wrong


@pytest.mark.parametrize("seed", range(12))
def test_conflicting_pairs_keep_program_order_in_any_interleaving(seed):
    rng = np.random.default_rng(seed)
    commands, accesses = random_accesses(rng, 60)
    ordered = insert_tokens(commands, accesses)
    for _ in range(10):
        start, end, _ = run_freely(ordered, rng)
        assert not violations(ordered, accesses, start, end)


@pytest.mark.parametrize("seed", range(4))
def test_every_token_is_needed(seed):
    """Without any one token some interleaving breaks the order (or tokens no longer pair up)."""
    rng = np.random.default_rng(seed)
    commands = [MAKERS[0](), MAKERS[1](), MAKERS[0](), MAKERS[2](), MAKERS[3]()]
    accesses = [
        [Access("x", 0, 4, True)],
        [Access("x", 2, 3, False)],
        [Access("x", 0, 3, True)],
        [Access("x", 0, 1, False)],
        [Access("y", 0, 1, True)],
    ]
    ordered = insert_tokens(commands, accesses)
    pairs = [(0, 1), (1, 2), (2, 3)]
    assert sum(bin(c.waits).count("1") for c in ordered) == len(pairs)
    for early, late in pairs:
        broken = list(ordered)
        giver, taker = commands[early].unit, commands[late].unit
        broken[early] = replace(broken[early], signals=broken[early].signals & ~(1 << taker))
        broken[late] = replace(broken[late], waits=broken[late].waits & ~(1 << giver))
        found = False
        for _ in range(200):
            start, end, _ = run_freely(broken, rng)
            found |= bool(violations(broken, accesses, start, end))
        assert found


def test_order_through_a_third_unit_needs_no_token_of_its_own():
    accesses = [
        [Access("x", 0, 1, True)],
        [Access("x", 0, 1, False), Access("y", 0, 1, True)],
        [Access("x", 0, 1, False), Access("y", 0, 1, False)],
    ]
    ordered = insert_tokens([MAKERS[0](), MAKERS[1](), MAKERS[2]()], accesses)
    assert [c.waits for c in ordered] == [0, 1, 2]
    assert [c.signals for c in ordered] == [2, 4, 0]


def test_a_channel_never_holds_more_tokens_than_its_counter(monkeypatch):
    monkeypatch.setattr(dependence, "MOST_TOKENS", 5)
    count = 40
    commands = [MAKERS[0]() for _ in range(count)] + [MAKERS[1]() for _ in range(count)]
    accesses = [[Access("x", i, i + 1, True)] for i in range(count)]
    accesses += [[Access("x", i, i + 1, False)] for i in range(count)]
    ordered = insert_tokens(commands, accesses)
    rng = np.random.default_rng(0)
    for _ in range(5):
        start, end, most = run_freely(ordered, rng)
        assert most <= 5
        assert not violations(ordered, accesses, start, end)


def test_reading_what_the_same_unit_emitted_waits_for_that_unit():
    emit, read = Transform(mode=0, count=1), Transform(mode=0, count=1)
    write = [Access("left.0", 0, 4, True)]
    look = [Access("left.0", 2, 3, False)]
    ordered = insert_tokens([emit, read], [write, look])
    assert [c.signals for c in ordered] == [8, 0]
    assert [c.waits for c in ordered] == [0, 8]
    between = [MAKERS[0](), [Access("left.0", 2, 3, True)]]
    ordered = insert_tokens([emit, between[0], read], [write, between[1], look])
    assert [c.waits for c in ordered] == [0, 8, 1]


def test_a_drain_waits_for_the_sums_it_reads_and_their_slots_for_the_drain():
    config = AcceleratorConfig.from_toml("odd")
    reach = Reach(rows=4, slots=10)
    emission = Emission(vectors=3)
    commands = [
        Aggregate(edge_base=0, count=9, operand_base=0, slot_base=0),
        Aggregate(edge_base=9, count=9, operand_base=0, slot_base=10),
        Drain(order_base=0, count=9, emission=emission, slot_base=0),
        Aggregate(edge_base=0, count=9, operand_base=0, slot_base=20),
        Aggregate(edge_base=0, count=9, operand_base=0, slot_base=9),
    ]
    ordered = insert_tokens(commands, [accesses_of(c, config, reach) for c in commands])
    aggregate, drain = 1 << Unit.AGGREGATE, 1 << Unit.DRAIN
    assert [c.waits for c in ordered] == [0, 0, aggregate, 0, drain]
    assert [c.signals for c in ordered] == [drain, 0, aggregate, 0, 0]


def test_accesses_are_what_the_command_says():
    config = AcceleratorConfig.from_toml("odd")  # 3 lanes: two vectors a word; R=6, C=9
    assert accesses_of(Load(target=Target.RIGHT, bank=2, base=5, count=3, address=9), config) == [
        ("device", 9, 11, False),
        ("right.2", 5, 8, True),
    ]
    edges = Load(target=Target.EDGES, base=0, count=2, address=0)
    beat_words = -(-5 * config.edge_bits // 64)
    assert accesses_of(edges, config)[0] == ("device", 0, 2 * beat_words, False)
    emission = Emission(
        vectors=6, mask=1, mask_base=7, destination=Destination.LEFT, destination_bank=1
    )
    drain = Drain(order_base=1, count=8, emission=emission)
    assert accesses_of(drain, config) == [
        ("order", 1, 9, False),
        ("accumulators", 0, 150, False),
        ("mask_aggregate", 7, 13, False),
        ("left.1", 0, 6, True),
    ]
    aggregate = Aggregate(edge_base=2, count=3, operand_base=4)
    assert accesses_of(aggregate, config)[1] == ("operand", 4, 600, False)
    assert accesses_of(aggregate, config, Reach(rows=10))[1] == ("operand", 4, 14, False)
    aggregate, drain = replace(aggregate, slot_base=7), replace(drain, slot_base=8)
    assert accesses_of(aggregate, config)[2] == ("accumulators", 7, 150, True)
    assert accesses_of(aggregate, config, Reach(slots=2))[2] == ("accumulators", 7, 9, True)
    assert accesses_of(drain, config, Reach(slots=2))[1] == ("accumulators", 8, 10, False)
    stationary = Transform(mode=Mode.WEIGHT_STATIONARY, count=2, left_base=1, right_base=3, last=0)
    spaces = {(a.space, a.low, a.high) for a in accesses_of(stationary, config)}
    assert spaces == {
        ("left.0", 1, 3),
        ("left.1", 1, 3),
        ("right.0", 3, 9),
        ("right.1", 3, 9),
        ("right.2", 3, 9),
    }
    assert not accesses_of(replace(stationary, mode=Mode.PASS), config)
    store = Store(source=Source.AGGREGATE, raw=1, count=3, address=4)
    assert accesses_of(store, config) == [("device", 4, 4 + 3 * 3, True)]
