# SPDX-License-Identifier: Apache-2.0
"""The sparse engine against a plain loop over edges and drain entries."""

from dataclasses import replace

import numpy as np
import pytest
from amaranth.back import verilog

from gcnloom_hw.aggregate.engine import AggregateEngine
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import HAZARD_DISTANCE
from tests.hw.tb_aggregate import QUIET, STALLING, Bench, Work, Workload, expected

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
    "demo": AcceleratorConfig.from_toml("demo"),
}
SEED = 11


@pytest.mark.parametrize("stalls", [QUIET, STALLING])
@pytest.mark.parametrize("name", CONFIGS)
def test_engine_emits_what_the_loops_over_edges_and_entries_do(name, stalls):
    config = CONFIGS[name]
    works = Workload(config, seed=SEED).program(pairs=6, length=20)
    bench = Bench(config, works, seed=7, stalls=stalls, preload=False)
    assert bench.beats == expected(config, works)
    assert bench.idle_after
    assert bench.idle_wrongly == 0


def test_the_workload_wraps_and_reuses_slots_at_the_least_distance():
    works = Workload(WRAPPING, seed=SEED).program(pairs=6, length=20)
    distances = set()
    for work in works:
        for pe in range(WRAPPING.pes):
            slots = [beat[pe]["slot"] if beat[pe]["valid"] else None for beat in work.edges]
            distances |= {
                later - earlier
                for later, slot in enumerate(slots)
                if slot is not None
                for earlier in range(later)
                if slots[earlier] == slot
            }
    assert min(distances) == HAZARD_DISTANCE
    wide = replace(WRAPPING, sum_width=48)
    assert expected(wide, works) != expected(WRAPPING, works)


def test_a_command_may_start_with_the_slot_the_one_before_ended_with():
    config = CONFIGS["odd"]
    edge = {"column": 0, "slot": 4, "weight": 3, "first": 0, "valid": 1}
    one = [[edge] * config.pes]
    fresh = Work(
        0, 0, 9, edges=[[{**edge, "first": 1}] * config.pes], operands={9: [5] * config.lanes}
    )
    again = [Work(0, base, 9, edges=one) for base in range(1, 5)]
    entries = [{"pe": pe, "slot": 4, "last": 1} for pe in range(config.pes)]
    drain = Work(1, 0, entries=entries)
    late = Work(0, 5, 9, edges=one)
    works = [fresh, *again, drain, late, Work(1, 10, entries=entries)]
    bench = Bench(config, works)
    assert [beat[2] for beat in bench.beats if beat[0]] == (
        [[75] * config.lanes] * config.pes + [[90] * config.lanes] * config.pes
    )


def test_commands_take_their_count_and_the_stated_overhead():
    config = CONFIGS["smallest"]
    workload = Workload(config, seed=1)
    works = [workload.aggregate(0, 30, 0, 4), workload.aggregate(30, 1, 4, 4)]
    works += [
        workload.drain(0, 25, split=0.0),
        workload.drain(25, 1),
        workload.drain(26, 30, split=1.0),
    ]
    works += [workload.aggregate(31, 2, 8, 1)]
    bench = Bench(config, works)
    assert bench.beats == expected(config, works)
    overhead = [AggregateEngine.aggregate_overhead, AggregateEngine.drain_overhead]
    assert np.diff(bench.accepted).tolist() == [
        work.count + overhead[work.drain] for work in works[:-1]
    ]


def test_a_drain_waits_for_room_and_loses_nothing():
    config = CONFIGS["smallest"]
    workload = Workload(config, seed=2)
    works = [workload.aggregate(0, 20, 0, 4), workload.drain(0, 60, split=0.0)]
    works += [workload.drain(60, 60, split=0.9), workload.aggregate(20, 3, 4, 4)]
    bench = Bench(config, works, hold=250)
    assert bench.beats == expected(config, works)
    assert bench.counted["stalled"] > 50


def test_counters_add_up_to_the_work():
    config = CONFIGS["odd"]
    works = Workload(config, seed=3).program(pairs=3, length=12)
    counted = Bench(config, works).counted
    beats = sum(work.count for work in works if not work.drain)
    entries = sum(work.count for work in works if work.drain)
    edges = sum(edge["valid"] for work in works for beat in work.edges for edge in beat)
    assert counted == {
        "edges": edges,
        "beats": beats,
        "entries": entries,
        "active": beats + entries,
        "stalled": 0,
    }


def test_commands_without_work_only_end():
    config = CONFIGS["smallest"]
    workload = Workload(config, seed=4)
    works = [workload.aggregate(0, 6, 0, 3), Work(0, 0), Work(1, 0), workload.drain(0, 5)]
    bench = Bench(config, works)
    assert bench.beats == expected(config, works)
    assert bench.counted["active"] == 11


def test_a_shipped_configuration_converts_to_verilog():
    text = verilog.convert(AggregateEngine(CONFIGS["demo"]), emit_src=False)
    assert "sums__payload" in text
