# SPDX-License-Identifier: Apache-2.0
"""The loss engine against the contract's softmax, in a memory cut into items byte by byte."""

from dataclasses import replace

import numpy as np
import pytest

from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.items import Split
from gcnloom_spec.number import limits
from tests.hw.loss_bench import Bench, Task, Tasks

WIDE = AcceleratorConfig(
    pes=1, lanes=4, rows=4, columns=4, operand_width=16, sum_width=48, memory_bytes=64
)
NAMES = ("demo", "odd", "smallest", "tall", "mul144-sampled", "sliced")
CONFIGS = {name: AcceleratorConfig.from_toml(name) for name in NAMES} | {"wide": WIDE}
# A slice of several words, or several in a word; vectors that a word does not hold evenly.
CONFIGS["narrow by 2"] = AcceleratorConfig(
    pes=1, lanes=4, rows=4, columns=4, memory_bytes=4, master_width=16, update_lanes=2
)
CONFIGS |= {
    f"{name} by {lanes}": replace(CONFIGS[name], update_lanes=lanes)
    for name, lanes in (("demo", 4), ("odd", 1), ("tall", 1))
}
PIPELINE = 34
"""Cycles from a command's last answer to its record, panels and levels of trees excepted."""


def random_logits(config, rng, shape):
    """Sums of every size: near each other, equal, far apart, as far as can be."""
    low, high = limits(config.sum_width)
    logits = rng.integers(low, high, shape, endpoint=True)
    logits >>= rng.integers(0, config.sum_width, (shape[0], 1))
    logits = np.where(rng.random(shape) < 0.1, logits.max(axis=1, keepdims=True), logits)
    return np.where(rng.random(shape) < 0.02, rng.choice([low, high], shape), logits)


def task(config, rng, *, count, classes, panels, **more):
    """Random task; shifts are those that its logits could have, or any."""
    any_shift = int(rng.integers(64))
    values = {
        "logits": random_logits(config, rng, (count, classes)),
        "labels": rng.integers(0, classes, count),
        "splits": rng.integers(0, len(Split), count),
        "shifts": (int(rng.choice([any_shift, 8, 20])), int(rng.integers(0, 18))),
        "multiplier": int(rng.choice([0, 65535, 47274, rng.integers(65536)])),
        "tensor": int(rng.integers(128)),
        "step": int(rng.integers(100)),
        "signals": int(rng.integers(1, 64)),
        "judged": int(rng.integers(2)),
    }
    return Task(panels=panels, **(values | more))


def random_tasks(config, rng):
    """One row, rows of every number of panels, losses that make one record."""
    lanes = config.lanes
    shapes = [(1, 1, 1), (9, lanes, 1), (40, max(1, lanes - 1), 1), (11, 2 * lanes, 2)]
    shapes += [(7, 3 * lanes - lanes // 2, 3), (3, 31 * lanes + 1, 32), (5, lanes, 3)]
    tasks = []
    for index in rng.permutation(len(shapes)):
        count, classes, panels = shapes[index]
        tasks.append(task(config, rng, count=count, classes=classes, panels=panels))
    more = {"count": 13, "classes": lanes, "panels": 1}
    tasks.append(task(config, rng, first=0, **more))
    tasks.append(task(config, rng, gradient=0, shifts=(9, 4), step=(1 << 32) - 2, **more))
    tasks.append(task(config, rng, shifts=(12, 63), **more))
    return tasks


def check(bench, tasks):
    assert bench.memory == tasks.after
    assert bench.signals == [each.signals for each in tasks.tasks]
    assert bench.losses == [each.train_loss for each in tasks.tasks]
    assert bench.judged == [each.val_loss for each in tasks.tasks if each.judged]
    assert bench.idle_before
    assert bench.idle_after
    for figures, each in zip(bench.measured, tasks.tasks, strict=True):
        lasts, tensors, envelopes, saturations = zip(*figures, strict=True)
        assert lasts == (0,) * (len(figures) - 1) + (1,)
        assert set(tensors) == {each.tensor}
        merged = (each.tensor, int(np.bitwise_or.reduce(envelopes)), sum(saturations))
        assert merged == each.measured


@pytest.mark.parametrize("stall", [0.0, 0.4])
@pytest.mark.parametrize("name", CONFIGS)
def test_memory_and_figures_are_those_of_the_contract(name, stall):
    rng = np.random.default_rng(len(name))
    tasks = Tasks(CONFIGS[name], random_tasks(CONFIGS[name], rng), rng)
    check(Bench(tasks, stall=stall), tasks)


@pytest.mark.parametrize("name", ["demo", "wide"])
def test_every_shift_is_right(name):
    config, rng = CONFIGS[name], np.random.default_rng(8)
    shape = {"count": 6, "classes": 2 * config.lanes, "panels": 2, "multiplier": 47274}
    shape["splits"] = np.full(6, Split.TRAIN)
    each = [task(config, rng, shifts=(shift, 63 - shift), **shape) for shift in range(64)]
    tasks = Tasks(config, each, rng)
    check(Bench(tasks), tasks)


@pytest.mark.parametrize(("panels", "count"), [(1, 1), (1, 150), (3, 50), (32, 5)])
@pytest.mark.parametrize("name", ["demo", "tall", "mul144-sampled"])
def test_a_word_is_asked_for_each_cycle(name, panels, count):
    config, rng = CONFIGS[name], np.random.default_rng(9)
    classes = panels * config.lanes
    tasks = Tasks(config, [task(config, rng, count=count, classes=classes, panels=panels)], rng)
    latency = 20
    bench = Bench(tasks, latency=latency)
    check(bench, tasks)
    words = count * panels * config.sums.words_per_item + config.label.words(count)
    levels = (config.lanes - 1).bit_length()
    after = 2 * panels + PIPELINE + 2 * levels + config.record.words_per_item
    assert bench.cycles == [words + latency + after]


@pytest.mark.parametrize("panels", [1, 32])
def test_a_slice_is_taken_each_cycle(panels):
    config, rng = replace(CONFIGS["demo"], update_lanes=2), np.random.default_rng(9)
    count, classes = 160 // panels, panels * config.lanes
    tasks = Tasks(config, [task(config, rng, count=count, classes=classes, panels=panels)], rng)
    latency = 20
    bench = Bench(tasks, latency=latency)
    check(bench, tasks)
    slices = count * panels * config.update_slices + config.label.words(count)
    after = 2 * panels * config.update_slices + PIPELINE + 2 + config.record.words_per_item
    # One cycle more, in which the last vector is put together.
    assert bench.cycles == [slices + latency + after + 1]
