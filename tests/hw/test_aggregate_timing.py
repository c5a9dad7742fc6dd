# SPDX-License-Identifier: Apache-2.0
"""How many cycles aggregates and drains take, alone and beside each other."""

import numpy as np
import pytest

from gcnloom_hw.aggregate.engine import AggregateEngine
from gcnloom_hw.aggregate.pe import ProcessingElement
from gcnloom_spec.config import AcceleratorConfig
from tests.hw.sparse_work import AggregateWork, DrainWork, Workload, expected
from tests.hw.tb_aggregate import Bench

ODD = AcceleratorConfig.from_toml("odd")
SMALLEST = AcceleratorConfig.from_toml("smallest")
BANKED = AcceleratorConfig.from_toml("banked")
DRAINED, BUSY = 0, 20
"""Slots that are drained, and slots that aggregates beside the drain work on."""
SLOTS = 5
LATENCY = AggregateEngine.drain_latency
BOTH = pytest.mark.parametrize("config", [ODD, BANKED], ids=["copies", "banks"])


def beats(config, count, *, free=lambda beat, pe: None):
    """Beats of edges that add, but that `free` makes ``"first"`` or ``"invalid"`` ones."""
    return [
        [
            {
                "column": pe,
                "weight": 1,
                "slot": BUSY + beat % SLOTS,
                "first": int(free(beat, pe) == "first"),
                "valid": int(free(beat, pe) != "invalid"),
            }
            for pe in range(config.pes)
        ]
        for beat in range(count)
    ]


def filling(config):
    """An aggregate that gives each slot of each element a sum of its own."""
    edges = [
        [
            {"column": pe, "slot": slot, "weight": 20 * pe + slot % BUSY, "first": 1, "valid": 1}
            for pe in range(config.pes)
        ]
        for slot in [*range(DRAINED, DRAINED + SLOTS), *range(BUSY, BUSY + SLOTS)]
    ]
    return AggregateWork(0, edges, operands={pe: [1] * config.lanes for pe in range(config.pes)})


def orders(config, count):
    """Drain orders by name: which elements the entries read from."""
    rng = np.random.default_rng(5)
    return {
        "first": [0] * count,
        "last": [config.pes - 1] * count,
        "turns": [index % config.pes for index in range(count)],
        "runs": [index // 20 % config.pes for index in range(count)],
        "random": rng.integers(config.pes, size=count).tolist(),
    }


def run(config, pes, beside=(), *, hold=0, start=60):
    """Drain an entry of each of `pes`; from cycle `start` on, just after `beside` begins."""
    entries = [
        {"pe": pe, "slot": DRAINED + index % SLOTS, "last": 1} for index, pe in enumerate(pes)
    ]
    works = [filling(config)]
    if beside:
        works.append(AggregateWork(20, list(beside), start=start))
    works.append(DrainWork(0, entries, after=1, start=start + 1))
    bench = Bench(config, works, hold=hold)
    assert bench.drained == [start + 1]
    # Later beats may have been added to the slots that are drained; that is the point.
    assert bench.beats == expected(config, works)
    assert not bench.cycles["hazard"]
    return bench


def contiguous(cycles):
    return np.all(np.diff(cycles) == 1)


def test_aggregates_follow_each_other_without_a_pause():
    workload = Workload(SMALLEST, 1)
    counts = [30, 1, 1, 2, 0, 3, 1, 40]
    works = [workload.aggregate(count) for count in counts] + [workload.drain(4)]
    bench = Bench(SMALLEST, works)
    assert bench.beats == expected(SMALLEST, works)
    assert np.diff(bench.aggregated).tolist() == [max(1, count) for count in counts[:-1]]


@pytest.mark.parametrize("name", orders(ODD, 0))
@BOTH
def test_a_drain_alone_takes_an_entry_a_cycle_wherever_its_words_lie(name, config):
    bench = run(config, orders(config, 120)[name])
    assert bench.taken[0] == bench.drained[0] + LATENCY
    assert contiguous(bench.taken)
    assert contiguous(bench.cycles["entries"])
    assert not bench.cycles["stalled"]


def test_drains_follow_each_other_without_a_pause():
    workload = Workload(ODD, 6)
    counts = [25, 1, 1, 2, 0, 3, 30]
    works = [workload.aggregate(40)] + [workload.drain(count, split=0.0) for count in counts]
    bench = Bench(ODD, works)
    assert bench.beats == expected(ODD, works)
    # The next command waits in front of the one that is executed.
    begins = bench.drained[0] + np.cumsum([0, *(max(1, count) for count in counts[:-2])])
    assert bench.drained[1:] == (begins + 1).tolist()
    assert contiguous(bench.taken)


def test_split_rows_cost_their_entries_and_no_more():
    workload = Workload(ODD, 7)
    works = [workload.aggregate(40), workload.drain(90, split=0.8)]
    bench = Bench(ODD, works)
    lasts = [index for index, entry in enumerate(works[1].entries) if entry["last"]]
    assert bench.beats == expected(ODD, works)
    assert bench.taken == [bench.drained[0] + LATENCY + index for index in lasts]


@pytest.mark.parametrize("kind", ["first", "invalid"])
@pytest.mark.parametrize("name", orders(ODD, 0))
@BOTH
def test_a_drain_beside_beats_that_read_no_sums_is_not_slowed(name, kind, config):
    beside = beats(config, 150, free=lambda beat, pe: kind)
    bench = run(config, orders(config, 100)[name], beside)
    assert bench.taken[0] == bench.drained[0] + LATENCY
    assert bench.taken[-1] < bench.signals[1][0]
    assert contiguous(bench.taken)


@pytest.mark.parametrize("name", orders(ODD, 0))
@BOTH
def test_a_drain_beside_beats_that_all_read_sums_waits_for_their_end(name, config):
    bench = run(config, orders(config, 100)[name], beats(config, 150))
    signalled, _ = bench.signals[1]
    assert bench.cycles["stalled"]
    assert bench.taken[0] > signalled
    assert bench.taken[-1] < signalled + LATENCY + 100


def test_an_element_whose_beats_all_read_sums_holds_up_only_its_own_words():
    beside = beats(ODD, 150, free=lambda beat, pe: "first" if pe != 2 else None)
    bench = run(ODD, [0, 1, 3, 4] * 20, beside)
    assert contiguous(bench.taken)
    assert bench.taken[0] == bench.drained[0] + LATENCY
    bench = run(ODD, [0, 1, 2, 3] * 20, beside)
    assert len([cycle for cycle in bench.taken if cycle < bench.signals[1][0]]) == 2


@pytest.mark.parametrize("every", [2, 3, 7])
def test_a_drain_gets_a_word_of_an_element_in_each_free_beat(every):
    beside = beats(ODD, 200, free=lambda beat, pe: None if beat % every else "invalid")
    bench = run(ODD, [1] * 25, beside)
    assert bench.taken[-1] < bench.signals[1][0]
    assert np.all(np.diff(bench.taken) == every)


def test_an_aggregate_is_not_slowed_by_a_drain():
    bench = run(ODD, orders(ODD, 100)["turns"], beats(ODD, 150))
    accepted = bench.aggregated[1]
    assert bench.signals[1][0] == accepted + 150 + 1
    assert bench.cycles["beats"][-150:] == list(range(accepted + 2, accepted + 152))


@pytest.mark.parametrize("config", [SMALLEST, ODD], ids=["smallest", "odd"])
@pytest.mark.parametrize("beside", [False, True])
@pytest.mark.parametrize("name", orders(ODD, 0))
def test_a_drain_waits_for_room_and_loses_nothing(config, beside, name):
    busy = beats(config, 40) if beside else ()
    bench = run(config, orders(config, 200)[name], busy, hold=400)
    assert bench.taken[0] == 400
    # What one element holds, at least, has been asked for by then.
    held = len([cycle for cycle in bench.cycles["entries"] if cycle < 400])
    assert ProcessingElement.depth <= held < 200
    assert contiguous(bench.taken)
