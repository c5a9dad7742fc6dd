# SPDX-License-Identifier: Apache-2.0
"""The weight step against the contract's functions on a memory of bytes."""

import gc
from dataclasses import replace

import numpy as np
import pytest

from gcnloom_hw.update.masters import words_ahead
from gcnloom_hw.update.step import StepEngine
from gcnloom_spec.config import AcceleratorConfig
from tests.hw.step_bench import StepBench, execute, random_work

# Items of several words, one a word and several a word; 16, 24 and 32 bits.
NAMES = ("demo", "odd", "smallest", "tall", "wide", "mul144-sampled", "sliced")
CONFIGS = {name: AcceleratorConfig.from_toml(name) for name in NAMES}
# A word of memory holds one vector of operands.
CONFIGS["full"] = AcceleratorConfig(
    pes=1, lanes=16, rows=16, columns=16, memory_bytes=16, master_width=16
)
CONFIGS |= {
    f"{name} by {lanes}": replace(CONFIGS[name], update_lanes=lanes)
    for name, lanes in (("demo", 1), ("odd", 1), ("tall", 1), ("wide", 2), ("full", 8))
}


@pytest.mark.parametrize("stall", [0.0, 0.4])
@pytest.mark.parametrize("name", CONFIGS)
def test_memory_and_figures_equal_the_contracts_after_each_command(name, stall):
    config = CONFIGS[name]
    rng = np.random.default_rng(len(name))
    works, memory = random_work(config, rng, [1, 9, 2, 1, 1, 17, 3, 30, 5])
    bench = StepBench(config, memory, works, stall=stall)

    assert bench.signals == [work.command["signals"] for work in works]
    figures = []
    for work, seen in zip(works, bench.memories, strict=True):
        figures.append(execute(config, memory, work))
        assert_command_is_done(config, work.command, memory, seen)
    assert bench.memory == memory
    assert list(zip(bench.measured, bench.masters, strict=True)) == figures
    assert bench.reads == sum(config.masters.words(work.command["count"]) for work in works)
    assert bench.idle_after


def assert_command_is_done(config, command, expected, seen):
    """What the command writes was in memory when its signals fired."""
    start = command["address"] * config.memory_bytes
    size = config.masters.words(command["count"]) * config.memory_bytes
    assert seen[start:][:size] == expected[start:][:size]
    size = config.vector.item_bytes
    start = command["operands"] * config.memory_bytes + command["offset"] * size
    size *= command["count"]
    assert seen[start:][:size] == expected[start:][:size]


@pytest.mark.parametrize("name", ["tall", "mul144-sampled"])
def test_a_vector_is_stepped_each_cycle_with_four_cycles_between_commands(name):
    config = AcceleratorConfig.from_toml(name)
    rng = np.random.default_rng(3)
    works, memory = random_work(config, rng, [40] * 5)
    bench = StepBench(config, memory, works)
    assert np.diff(bench.taken).tolist() == ([1] * 39 + [5]) * 4 + [1] * 39
    assert bench.cycles - bench.taken[-1] <= bench.engine.latency + 6


@pytest.mark.parametrize(("name", "lanes"), [("demo", 1), ("demo", 4), ("wide", 1), ("tall", 1)])
def test_a_slice_is_stepped_each_cycle_but_for_gathering_words_and_drawing(name, lanes):
    config = replace(AcceleratorConfig.from_toml(name), update_lanes=lanes)
    slices, words = config.update_slices, config.masters.words_per_item
    works, memory = random_work(config, np.random.default_rng(3), [40, 40])
    bench = StepBench(config, memory, works)
    plain, drawn = np.reshape(bench.taken, (2, 40, slices))
    assert (np.diff(plain) == 1).all()
    assert (np.diff(plain[:, 0]) == slices + words - 1).all()
    # Random bytes are there ahead of the first vectors.
    late = np.diff(drawn[20:, 0])
    assert late.mean() == pytest.approx(max(2 * slices, slices + words - 1), abs=0.1)


def test_narrow_memory_is_kept_writing():
    config = AcceleratorConfig.from_toml("demo")
    works, memory = random_work(config, np.random.default_rng(3), [40] * 5)
    bench = StepBench(config, memory, works)
    words = 5 * 40 * 5 // 2
    assert words <= bench.writes <= words + 5
    assert bench.cycles <= bench.writes + bench.taken[0] + bench.engine.latency + 5


def test_words_of_the_next_command_are_read_before_gradients_come():
    config = AcceleratorConfig.from_toml("demo")
    works, memory = random_work(config, np.random.default_rng(6), [4, 4, 4])
    bench = StepBench(config, memory, works, gradients_from=100)
    assert bench.reads_before_gradients == 3 * config.masters.words(4)


def test_only_words_that_there_is_room_for_are_read_ahead():
    config = AcceleratorConfig.from_toml("demo")
    works, memory = random_work(config, np.random.default_rng(7), [40])
    bench = StepBench(config, memory, works, gradients_from=150)
    assert words_ahead(config) <= bench.reads_before_gradients < config.masters.words(40)
    execute(config, memory, works[0])
    assert bench.memory == memory


@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
def test_a_configuration_without_master_weights_is_refused():
    with pytest.raises(ValueError, match=r"master_width=0 .* use 16"):
        StepEngine(AcceleratorConfig.from_toml("mul144"))
    # Amaranth warns of an engine that was never used when it goes.
    gc.collect()
