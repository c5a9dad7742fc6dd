# SPDX-License-Identifier: Apache-2.0
"""The weight step against the contract's functions on a memory of bytes."""

import numpy as np
import pytest

from gcnloom_spec.config import AcceleratorConfig
from tests.hw.step_bench import StepBench, execute, random_work

# Items of several words, one a word and several a word; 16, 24 and 32 bits.
NAMES = ("demo", "odd", "smallest", "tall", "wide", "mul144-sampled")


@pytest.mark.parametrize("stall", [0.0, 0.4])
@pytest.mark.parametrize("name", NAMES)
def test_memory_and_figures_equal_the_contracts_after_each_command(name, stall):
    config = AcceleratorConfig.from_toml(name)
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
