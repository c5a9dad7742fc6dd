# SPDX-License-Identifier: Apache-2.0
"""Schedules are executed edge by edge, as the machine would, and held against their bound."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_array

from gcnloom.scheduling import edges, placing, repair, spacing
from gcnloom.scheduling.schedule import schedule
from gcnloom_spec.config import AcceleratorConfig
from tests.sw import schedules
from tests.sw.schedules import PATTERNS, check, execute, matrix_of, power_law


@pytest.mark.parametrize("shape", [(1, 1), (1, 90), (80, 1), (70, 53), (130, 201)])
@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("name", ["smallest", "odd", "short", "demo", "banked"])
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


@pytest.mark.parametrize("banks", [0, 16, 64])
@pytest.mark.parametrize("pes", [1, 3, 8, 16])
@pytest.mark.parametrize("pattern", PATTERNS)
def test_every_number_of_pes_and_banks_is_scheduled(pattern, pes, banks):
    config = replace(AcceleratorConfig.from_toml("demo"), pes=pes, operand_banks=banks)
    rng = np.random.default_rng(pes)
    matrix = matrix_of(pattern(rng, 90, 120, 700), (90, 120), rng)
    for max_slots, max_columns in ((512, 120), (40, 33), (3, 120)):
        plan = schedule(matrix, config, max_rows=90, max_columns=max_columns, max_slots=max_slots)
        check(plan, matrix, config, rng)
        assert all(block.slots <= max_slots for block in plan.blocks)


@pytest.mark.parametrize("distance", [1, 2, 3, 7])
@pytest.mark.parametrize("banks", [0, 8])
def test_every_hazard_distance_is_kept(distance, banks, monkeypatch):
    for module in (edges, placing, repair, spacing, schedules):
        monkeypatch.setattr(module, "HAZARD_DISTANCE", distance)
    config = replace(AcceleratorConfig.from_toml("demo"), pes=5, operand_banks=banks)
    for pattern in PATTERNS:
        rng = np.random.default_rng(distance)
        matrix = matrix_of(pattern(rng, 60, 90, 900), (60, 90), rng)
        for max_columns in (90, 40):
            plan = schedule(matrix, config, max_rows=60, max_columns=max_columns)
            check(plan, matrix, config, rng)


@pytest.mark.parametrize("banks", [0, 16])
def test_small_tiles_back_to_back_cost_next_to_nothing(banks):
    config = replace(AcceleratorConfig.from_toml("demo"), pes=8, operand_banks=banks)
    rng = np.random.default_rng(2)
    matrix = matrix_of(power_law(rng, 1000, 2000, 30_000), (1000, 2000), rng)
    plan = schedule(matrix, config, max_rows=500, max_columns=64)
    assert sum(len(block.tiles) for block in plan.blocks) == 64
    assert plan.length <= 1.01 * plan.lower_bound, plan.report()


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


@pytest.mark.parametrize("banks", [0, 16])
def test_a_giant_hub_is_spread_over_all_pes(banks):
    config = replace(AcceleratorConfig.from_toml("demo"), pes=8, operand_banks=banks)
    row = np.concatenate([np.zeros(2000, dtype=int), np.arange(400)])
    column = np.concatenate([np.arange(2000), np.arange(400) + 2000])
    matrix = csr_array((np.ones(2400, dtype=np.int64), (row, column)), shape=(400, 2400))
    plan = schedule(matrix, config, max_rows=400, max_columns=2400)
    assert plan.length <= 1.01 * plan.lower_bound, plan.report()


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
