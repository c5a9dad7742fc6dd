# SPDX-License-Identifier: Apache-2.0
"""The sparse engine against a plain loop over edges and drain entries."""

from dataclasses import replace

import numpy as np
import pytest
from amaranth.back import verilog

from gcnloom_hw.aggregate.engine import AggregateEngine
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import HAZARD_DISTANCE
from tests.hw.sparse_work import AggregateWork, DrainWork, Workload, distances, expected
from tests.hw.tb_aggregate import QUIET, STALLING, Bench

# Two products of the extremes overflow a sum.
WRAPPING = AcceleratorConfig(
    pes=2,
    lanes=2,
    rows=2,
    columns=2,
    operand_width=16,
    sum_width=32,
    operand_depth=128,
    accumulator_depth=20,
    edge_depth=512,
    order_depth=512,
)
CONFIGS = {
    "smallest": AcceleratorConfig.from_toml("smallest"),
    "odd": AcceleratorConfig.from_toml("odd"),
    "wrapping": WRAPPING,
    "banked": AcceleratorConfig.from_toml("banked"),
    # As many banks as elements, and as a load fills at a time.
    "few banks": replace(WRAPPING, pes=4, memory_bytes=8, operand_banks=4),
    "demo": AcceleratorConfig.from_toml("demo"),
}
ODD, BANKED = CONFIGS["odd"], CONFIGS["banked"]
SEED = 11


@pytest.mark.parametrize("stalls", [QUIET, STALLING])
@pytest.mark.parametrize("name", CONFIGS)
def test_engine_emits_what_the_loops_over_edges_and_entries_do(name, stalls):
    config = CONFIGS[name]
    works = Workload(config, SEED).program(rounds=8, length=20)
    bench = Bench(config, works, seed=7, stalls=stalls, preload=False)
    assert bench.beats == expected(config, works)
    assert bench.idle_after
    assert bench.idle_wrongly == 0
    assert not bench.cycles["hazard"]


def test_every_aggregate_signals_once_a_cycle_after_its_last_beat():
    works = Workload(ODD, SEED).program(rounds=12, length=4)
    bench = Bench(ODD, works, seed=7, stalls=STALLING)
    assert {work.count for work in bench.aggregates} == set(range(5))
    counts = [max(1, work.count) for work in bench.aggregates]
    assert bench.signals == [
        (accepted + count + 1, bench.signal_of(index))
        for index, (accepted, count) in enumerate(zip(bench.aggregated, counts, strict=True))
    ]


def test_the_workload_wraps_overlaps_and_reuses_slots_at_the_least_distance():
    works = Workload(WRAPPING, SEED).program(rounds=8, length=20)
    assert min(distances(WRAPPING, works)) == HAZARD_DISTANCE
    assert expected(replace(WRAPPING, sum_width=48), works) != expected(WRAPPING, works)
    bench = Bench(WRAPPING, works, seed=7)
    busy = {
        accepted + beat
        for accepted, work in zip(bench.aggregated, bench.aggregates, strict=True)
        for beat in range(1, work.count)
    }
    assert len(busy.intersection(bench.cycles["entries"])) > 20


def test_counters_add_up_to_the_work():
    works = Workload(ODD, 3).program(rounds=5, length=12)
    bench = Bench(ODD, works)
    assert bench.edges == sum(
        edge["valid"] for work in bench.aggregates for beat in work.edges for edge in beat
    )
    assert len(bench.cycles["beats"]) == sum(work.count for work in bench.aggregates)
    assert len(bench.cycles["entries"]) == sum(work.count for work in bench.drains)


def test_a_sum_goes_on_in_the_next_command_after_exactly_the_least_distance():
    edge = {"column": 0, "slot": 4, "weight": 3, "first": 0, "valid": 1}
    pause = [[{**edge, "valid": 0}] * ODD.pes] * (HAZARD_DISTANCE - 1)
    works = [
        AggregateWork(0, [[{**edge, "first": 1}] * ODD.pes, *pause], 9, 30),
        AggregateWork(4, [[edge] * ODD.pes, *pause], 9, 30),
        AggregateWork(8, [[{**edge, "slot": 34}] * ODD.pes, *pause], 9, 0),
    ]
    works[0].operands = {9: [5] * ODD.lanes}
    entries = [{"pe": pe, "slot": 14, "last": 1} for pe in range(ODD.pes)]
    works.append(DrainWork(0, entries, slot_base=20, after=3))
    bench = Bench(ODD, works)
    assert np.diff(bench.aggregated).tolist() == [HAZARD_DISTANCE] * 2
    assert [sums for _, _, sums in bench.beats] == [[45] * ODD.lanes] * ODD.pes


@pytest.mark.parametrize("config", [ODD, BANKED], ids=["odd", "banked"])
def test_a_drain_may_read_as_soon_as_the_tokens_of_its_aggregate_let_it(config):
    """The last beat is the one that counts, and the first entry the one that reads it."""
    edge = {"slot": 4, "weight": 3, "first": 1, "valid": 1}
    entries = [{"pe": pe, "slot": 4, "last": 1} for pe in range(config.pes)]
    operands = {row: [7 + row] * config.lanes for row in range(config.pes)}
    works = []
    for turn in range(3):
        beats = [[{**edge, "column": pe, "weight": turn + 1} for pe in range(config.pes)]]
        work = AggregateWork(turn, beats, operands=operands, after=turn)
        works += [work, DrainWork(config.pes * turn, entries, after=turn + 1)]
    bench = Bench(config, works)
    assert [sums for _, _, sums in bench.beats] == [
        [(7 + pe) * (turn + 1)] * config.lanes for turn in range(3) for pe in range(config.pes)
    ]


@pytest.mark.parametrize("config", [ODD, BANKED], ids=["odd", "banked"])
def test_operands_may_be_written_while_aggregates_read_others(config):
    workload = Workload(config, 12)
    works = [workload.aggregate(40), workload.aggregate(1), workload.aggregate(30)]
    works.append(workload.drain(12))
    bench = Bench(config, works, preload=False)
    assert bench.beats == expected(config, works)


def conflicting(columns, *, valid=(1, 1, 1), operand_base=0):
    """Whether edges of one beat that read these columns raise the flag."""
    edge = {"slot": 4, "weight": 1, "first": 1}
    beat = [
        {**edge, "column": column, "valid": bit} for column, bit in zip(columns, valid, strict=True)
    ]
    rest = [{**edge, "column": 0, "valid": 0}] * BANKED.pes
    work = AggregateWork(0, [rest, beat, rest, rest], operand_base=operand_base)
    work.operands = {operand_base + column: [1] * BANKED.lanes for column in columns}
    return bool(Bench(BANKED, [work]).cycles["hazard"])


def test_the_hazard_flag_rises_where_two_edges_of_a_beat_read_one_bank():
    assert conflicting((5, 2, 5))
    assert conflicting((7, 15, 0))
    assert conflicting((0, 3, 24), operand_base=16)
    assert conflicting((6, 14, 22))
    assert not conflicting((0, 1, 2))
    assert not conflicting((8, 1, 18), operand_base=16)
    assert not conflicting((5, 2, 5), valid=(1, 1, 0))
    assert not conflicting((5, 5, 5), valid=(0, 1, 0))


def hazardous(distance, *, split=False, empty=0, pes=(0, 0), slots=(4, 4), bases=(9, 9)):
    """Whether two edges `distance` beats apart raise the flag; `split`: in two commands."""
    none = [{"column": 0, "slot": 4, "weight": 1, "first": 0, "valid": 0}] * ODD.pes
    beats = [list(none) for _ in range(distance + 4)]
    for beat, pe, slot in zip((1, 1 + distance), pes, slots, strict=True):
        beats[beat][pe] = {**none[0], "slot": slot, "valid": 1}
    if not split:
        works = [AggregateWork(0, beats, slot_base=bases[0])]
    else:
        works = [AggregateWork(0, beats[:2], slot_base=bases[0])]
        works += [AggregateWork(0, [])] * empty
        works.append(AggregateWork(2, beats[2 + empty :], slot_base=bases[1]))
    works[0].operands = {0: [1] * ODD.lanes}
    return bool(Bench(ODD, works).cycles["hazard"])


@pytest.mark.parametrize("distance", range(1, 7))
def test_the_hazard_flag_rises_for_distances_below_the_least(distance):
    close = distance < HAZARD_DISTANCE
    assert hazardous(distance) == close
    assert hazardous(distance, pes=(4, 4)) == close
    assert hazardous(distance, split=True) == close
    assert hazardous(distance, split=True, slots=(4, 6), bases=(9, 7)) == close


def test_the_hazard_flag_tells_slots_elements_and_commands_apart():
    assert not hazardous(1, slots=(4, 5))
    assert not hazardous(1, pes=(0, 1))
    assert not hazardous(2, split=True, bases=(9, 10))
    assert hazardous(3, split=True, empty=1)
    assert hazardous(3, split=True, empty=2)
    assert not hazardous(4, split=True, empty=3)


def test_commands_without_work_only_end():
    config = CONFIGS["smallest"]
    workload = Workload(config, 4)
    works = [workload.aggregate(6), workload.aggregate(0), workload.drain(0), workload.drain(5)]
    works += [workload.drain(0), workload.drain(0), workload.aggregate(0), workload.aggregate(2)]
    works.append(workload.drain(3))
    bench = Bench(config, works)
    assert bench.beats == expected(config, works)
    assert [beat[:2] for beat in bench.beats].count((0, 1)) == 3
    assert len(bench.signals) == 4
    assert len(bench.cycles["beats"]) == 8
    assert bench.idle_wrongly == 0


def test_a_shipped_configuration_converts_to_verilog():
    text = verilog.convert(AggregateEngine(CONFIGS["odd"]), emit_src=False)
    assert "sums__payload" in text
