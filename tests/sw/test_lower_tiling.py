# SPDX-License-Identifier: Apache-2.0
"""Sizes of tiles fit the memories they are for, whatever the configuration."""

from dataclasses import replace

import pytest

from gcnloom.lower.tiling import batches, column_limit, fraction, replayed, tiling
from gcnloom_spec.config import AcceleratorConfig, named_configs

SHAPES = [(1, 1), (3, 500), (40, 40), (150, 1433), (2708, 644), (20000, 30000)]
ODD = AcceleratorConfig.from_toml("odd")


def configurations():
    for name in named_configs():
        config = AcceleratorConfig.from_toml(name)
        if not config.sparse:
            continue
        yield config
        yield replace(config, accumulator_depth=4 * config.accumulator_depth)


@pytest.mark.parametrize("panels", [1, 2, 3])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_streamed_matrix_leaves_room_for_what_makes_its_operand(shape, panels):
    rows, columns = shape
    streamed = 0
    for config in configurations():
        if panels > config.right_banks:
            continue
        beside = config.operand_depth // 5
        plan = tiling(config, rows, columns, panels=panels, beside=beside)
        word = config.vector.items_per_word
        assert plan.columns % word == 0 or plan.columns == columns
        if not plan.streamed:
            continue
        streamed += 1
        # Three parts of every panel: in use, waiting, being made; and two sets of sums.
        assert panels * (3 * plan.columns + beside) <= config.operand_depth
        assert 2 * panels * -(-rows // config.pes) < config.accumulator_depth
        assert plan.columns <= min(config.left_depth, config.sum_depth, config.mask_depth)
        assert plan.part <= min(config.left_depth, config.sum_depth, config.mask_depth)
        assert plan.rows <= config.order_depth
        assert not tiling(config, rows, columns, panels=panels, streamed=False).streamed
    assert streamed or rows > 1000


@pytest.mark.parametrize("panels", [1, 2, 3])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_row_blocks_take_half_the_accumulators_and_tiles_half_the_operands(shape, panels):
    for config in configurations():
        if panels > config.right_banks:
            continue
        plan = tiling(config, *shape, panels=panels).by_rows()
        assert 0 < plan.columns * panels <= config.operand_depth
        assert plan.columns == shape[1] or 2 * plan.columns * panels <= config.operand_depth
        assert 0 < 2 * plan.slots * panels <= config.accumulator_depth
        assert 0 < plan.part <= plan.rows
        assert 2 * plan.rows <= config.order_depth
        assert not plan.streamed


@pytest.mark.parametrize(
    ("part", "most", "expected"),
    [(24, 24, 24), (24, 30, 24), (24, 20, 12), (24, 11, 8), (24, 2, 2), (26, 24, 2), (7, 9, 7)],
)
def test_a_fraction_is_the_largest_that_divides_a_part(part, most, expected):
    assert ODD.vector.items_per_word == 2
    assert fraction(part, most, ODD) == expected


def test_a_part_that_is_a_whole_tensor_is_cut_at_any_word():
    assert fraction(25, 11, ODD) == 10


def test_parts_of_row_blocks_divide_the_parts_of_the_next_product():
    plan = tiling(replace(ODD, accumulator_depth=6), 500, 90, panels=1, part=60)
    assert not plan.streamed
    assert plan.part < 60
    assert 60 % plan.part == 0
    assert plan.by_rows(part=8).rows == 8


def test_panels_replay_edges_only_where_a_beat_is_longer_than_a_word_and_they_fit():
    assert ODD.edge_beat.words_per_item > 1
    assert replayed(5, 100, ODD) == 5
    assert replayed(9, 100, ODD) == 6
    assert replayed(9, 3000, ODD) == 1
    assert replayed(9, 10, replace(ODD, accumulator_depth=6)) == 3
    assert replayed(5, 100, AcceleratorConfig.from_toml("short")) == 1


def test_batches_cover_all_panels():
    assert list(batches(7, 3)) == [range(3), range(3, 6), range(6, 7)]
    assert list(batches(2, 5)) == [range(2)]


def test_columns_are_whole_if_all_panels_fit_and_else_half_a_memory():
    assert column_limit(600, ODD) == 600
    assert column_limit(601, ODD) == 300
    assert column_limit(300, ODD, panels=2) == 300
    assert column_limit(299, ODD, panels=2) == 299
    assert column_limit(301, ODD, panels=2) == 150
