# SPDX-License-Identifier: Apache-2.0
"""Schedules are executed edge by edge, as the machine would, and held against their bound."""

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_array, eye_array

from gcnloom.scheduling.schedule import schedule
from gcnloom.scheduling.spacing import Queues, issue_times
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import HAZARD_DISTANCE
from tests.sw.schedules import PATTERNS, check, execute, matrix_of, power_law

CORA = Path(__file__).parents[2] / ".." / "shared" / "datasets" / "cora.npz"


@pytest.mark.parametrize("shape", [(1, 1), (1, 90), (80, 1), (70, 53), (130, 201)])
@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("name", ["smallest", "odd", "short", "demo"])
def test_executing_a_schedule_gives_the_product(name, pattern, shape):
    config = AcceleratorConfig.from_toml(name)
    rng = np.random.default_rng(shape[0])
    matrix = matrix_of(pattern(rng, *shape, 600), shape, rng)
    for max_rows, max_columns in ((shape[0], shape[1]), (64, 50), (24, 16)):
        rows = min(max_rows, config.pes * config.accumulator_depth)
        columns = min(max_columns, config.operand_depth)
        plan = schedule(matrix, config, max_rows=rows, max_columns=columns)
        check(plan, matrix, config, rng)
        assert all(len(block.rows) <= rows for block in plan.blocks)


@pytest.mark.parametrize("pes", [1, 2, 3, 8, 16])
@pytest.mark.parametrize("pattern", PATTERNS)
def test_every_number_of_pes_and_slots_is_scheduled(pattern, pes):
    config = replace(AcceleratorConfig.from_toml("demo"), pes=pes)
    rng = np.random.default_rng(pes)
    matrix = matrix_of(pattern(rng, 90, 120, 700), (90, 120), rng)
    for max_slots, max_columns in ((512, 120), (40, 33), (3, 120)):
        plan = schedule(matrix, config, max_rows=90, max_columns=max_columns, max_slots=max_slots)
        check(plan, matrix, config, rng)
        assert all(block.slots <= max_slots for block in plan.blocks)


def test_a_block_whose_hubs_need_many_slots_is_cut_at_a_word_of_vectors():
    config = AcceleratorConfig.from_toml("short")
    config = replace(config, accumulator_depth=16, pes=3)
    dense = np.random.default_rng(5).integers(1, 7, size=(48, 120))
    plan = schedule(csr_array(dense), config, max_rows=48, max_columns=120, max_entries=40)
    assert len(plan.blocks) > 1
    assert all(len(block.order) <= 40 for block in plan.blocks)
    assert all(b.rows.start % config.vector.items_per_word == 0 for b in plan.blocks)
    operand = np.arange(240).reshape(120, 2)
    assert np.array_equal(execute(plan, config, operand)[0], dense @ operand)


def test_issue_times_reach_the_bound_of_each_queue():
    rng = np.random.default_rng(3)
    for _ in range(300):
        slot = np.repeat(np.arange(rng.integers(1, 9)), rng.integers(1, 7))
        slot = np.concatenate([slot, rng.integers(0, 12, rng.integers(0, 30))])
        queue = rng.integers(0, 3, len(slot))
        queues = Queues.of(queue, slot, 3)
        spare = rng.integers(0, 3, 3)
        times = issue_times(queues, queues.least + spare, int(rng.integers(4, 12)))
        for one in np.unique(queue):
            mine, when = slot[queue == one], times[queue == one]
            assert len(np.unique(when)) == len(when)
            counts = np.bincount(mine)
            fullest = counts.max()
            bound = max(len(mine), HAZARD_DISTANCE * (fullest - 1) + np.sum(counts == fullest))
            assert queues.least[one] == bound
            assert 0 <= when.min() <= when.max() < bound + spare[one]
            for each in np.unique(mine):
                assert np.all(np.diff(np.sort(when[mine == each])) >= HAZARD_DISTANCE)


def test_a_giant_hub_is_spread_over_all_pes():
    config = replace(AcceleratorConfig.from_toml("demo"), pes=8)
    row = np.concatenate([np.zeros(2000, dtype=int), np.arange(400)])
    column = np.concatenate([np.arange(2000), np.arange(400) + 2000])
    matrix = csr_array((np.ones(2400, dtype=np.int64), (row, column)), shape=(400, 2400))
    plan = schedule(matrix, config, max_rows=400, max_columns=2400)
    assert plan.length <= 1.01 * plan.lower_bound, plan.report()


def test_a_million_edges_are_scheduled_in_seconds_close_to_the_bound():
    config = replace(AcceleratorConfig.from_toml("demo"), pes=8)
    rng = np.random.default_rng(0)
    places = power_law(rng, 60_000, 60_000, 1_000_000)
    weight = np.ones(len(places), dtype=np.int64)
    matrix = csr_array((weight, (places[:, 0], places[:, 1])), shape=(60_000, 60_000))
    started = time.perf_counter()
    plan = schedule(matrix, config, max_rows=2048, max_columns=2048)
    assert time.perf_counter() - started < 10
    assert plan.length <= 1.01 * plan.lower_bound, plan.report()


@pytest.mark.skipif(not CORA.exists(), reason=f"{CORA} is not here")
@pytest.mark.parametrize("which", ["adjacency", "features", "features transposed"])
def test_cora_is_at_its_bound(which):
    config = replace(AcceleratorConfig.from_toml("demo"), pes=8)
    file = np.load(CORA, allow_pickle=False)
    kind = "adj" if which == "adjacency" else "feat"
    indices, indptr = file[f"{kind}_indices"], file[f"{kind}_indptr"]
    matrix = csr_array((np.ones(len(indices), dtype=np.int64), indices, indptr))
    if which == "adjacency":
        matrix = csr_array(matrix + eye_array(matrix.shape[0], dtype=np.int64))
    if which == "features transposed":
        matrix = csr_array(matrix.T)
    plan = schedule(matrix, config, max_rows=4096, max_columns=4096)
    assert len(plan.blocks) == 1
    assert plan.length == plan.lower_bound, plan.report()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"max_rows": 0}, "max_rows=0 is outside 1..2048"),
        ({"max_columns": 5000}, "max_columns=5000 is outside 1..4096"),
        ({"max_entries": 1}, "max_entries=1 is outside 2..4096"),
        ({"max_slots": 513}, "max_slots=513 is outside 1..512"),
    ],
)
def test_impossible_sizes_are_refused_by_name(change, message):
    config = AcceleratorConfig.from_toml("demo")
    matrix = csr_array(np.eye(4, dtype=np.int64))
    with pytest.raises(ValueError, match=message):
        schedule(matrix, config, **({"max_rows": 8, "max_columns": 8} | change))


def test_weights_that_are_no_operands_are_refused():
    config = AcceleratorConfig.from_toml("demo")
    with pytest.raises(ValueError, match=r"weight -129 is outside -128\.\.127"):
        schedule(csr_array(np.array([[-129, 127]])), config, max_rows=8, max_columns=8)
    with pytest.raises(ValueError, match="dtype float64"):
        schedule(csr_array(np.eye(2)), config, max_rows=8, max_columns=8)
