# SPDX-License-Identifier: Apache-2.0
"""Predicted cycles are those of the Verilated accelerator, within three per cent."""

from itertools import islice, pairwise

import numpy as np
import pytest

from gcnloom import device as devices
from gcnloom.graphs import datasets
from gcnloom.layers import Network
from gcnloom.programs.program import Program
from gcnloom.training.engine import Engine
from gcnloom_sim.cycles import predict
from gcnloom_sim.cycles.cases import COUNTS, REPEATS, cases
from gcnloom_sim.cycles.timing import Timing
from gcnloom_sim.random_programs import MEMORY_BYTES, random_program
from gcnloom_spec.commands import Aggregate, Drain, Emission, Store
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import Source, Unit
from gcnloom_spec.registers import STATISTICS

CONFIGS = ["demo", "odd", "smallest", "banked", "sliced"]
TOLERANCE = 0.03


STEPS_ALONE = 4.7
"""Tolerances that a program of nothing but weight steps is off, where its writes are the limit."""


def _close(predicted, measured, of=None):
    return abs(predicted - measured) <= TOLERANCE * (measured if of is None else of)


@pytest.mark.sim
@pytest.mark.parametrize("name", [*CONFIGS, "least"])
def test_programs_of_every_kind_of_command_take_as_long_as_predicted(name):
    wrong = []
    with devices.open(f"rtl:{name}", memory_megabytes=1) as device:
        # The first run of all waits until the reset has gone through all units.
        next(cases(device.config)).measure(device)
        for case in cases(device.config):
            program, counters = case.measure(device)
            predicted = predict(program, device.config).cycles
            # Which of a step's two writers goes first in a cycle is settled by how it began.
            bound = STEPS_ALONE if case.name.startswith("STEP") else 1.0
            if not _close(predicted, counters["cycles"], of=bound * counters["cycles"]):
                wrong.append((case.name, case.count, predicted, counters["cycles"]))
    assert not wrong


@pytest.mark.sim
@pytest.mark.parametrize("name", CONFIGS)
def test_closed_forms_are_the_cycles_that_a_further_command_takes(name):
    wrong = []
    with devices.open(f"rtl:{name}", memory_megabytes=1) as device:
        timing = Timing(device.config)
        for case in cases(device.config, COUNTS[-2:]):
            _, few = case.measure(device)
            _, many = case.measure(device, 2 * REPEATS)
            each = (many["cycles"] - few["cycles"]) / REPEATS
            closed = case.interval(timing)
            if closed is not None and abs(closed - each) > 1.5:
                wrong.append((case.name, case.count, closed, each))
    assert not wrong


def _hold(predicted, counters):
    """Cycles and what each unit did in them agree."""
    assert _close(predicted.cycles, counters["cycles"])
    for unit in Unit:
        name = unit.name.lower()
        waiting = sum(counters[f"{name}_wait_{other.name.lower()}"] for other in Unit)
        assert predicted.active[name] == counters[f"{name}_active"]
        assert _close(predicted.waiting[name], waiting, of=counters["cycles"])
        assert _close(predicted.stalled[name], counters[f"{name}_stalled"], of=counters["cycles"])


@pytest.mark.sim
@pytest.mark.parametrize(
    ("data", "name", "latency"),
    [
        ("digits", "demo", 8),
        ("sbm:120,3", "odd", 8),
        ("sbm:120,3", "odd", 60),
        ("sbm:120,3", "banked", 8),
    ],
)
def test_training_takes_as_long_as_predicted(data, name, latency):
    graph = datasets.load(data, seed=0)
    widths = (graph.features.shape[1], 16, graph.classes)
    rng = np.random.default_rng(0)
    weights = [rng.uniform(-0.3, 0.3, shape) for shape in pairwise(widths)]
    with devices.open(f"rtl:{name}", memory_megabytes=16, latency=latency) as device:
        engine = Engine(graph, Network(widths=widths, dropout=0.5), device, seed=1)
        logits = engine.forward(weights, step=0, training=True)
        engine.backward(logits, step=0)
        for part in ("forward", "backward"):
            program = getattr(engine.lowered, part)
            _hold(predict(program, device.config, f"ideal/{latency}"), engine.counters[part])


@pytest.mark.sim
@pytest.mark.parametrize("name", CONFIGS)
def test_random_programs_take_as_long_as_predicted(name):
    with devices.open(f"rtl:{name}", memory_megabytes=4) as device:
        size = device.config.memory_bytes
        for seed in range(3):
            memory, program = random_program(device.config, np.random.default_rng(seed), 150)
            device.clear()
            address = device.memory.allocate("data", MEMORY_BYTES // size)
            device.write_bytes(address, memory + bytes(-len(memory) % size))
            counters = device.run(program, seed=seed).counters
            assert _close(predict(program, device.config).cycles, counters["cycles"])


def test_programs_that_would_hang_are_refused():
    config = AcceleratorConfig.from_toml("odd")
    emission = Emission(vectors=1, store=1)
    drain = Drain(order_base=0, count=1, emission=emission)
    with pytest.raises(ValueError, match="no store before it"):
        predict(Program.of([drain], config.digest), config)
    waiting = Aggregate(edge_base=0, count=1, operand_base=0, waits=1 << Unit.LOAD)
    with pytest.raises(ValueError, match="waits for a token"):
        predict(Program.of([waiting], config.digest), config)


def test_a_store_may_take_several_emissions_and_an_emission_fill_several_stores():
    config = AcceleratorConfig.from_toml("odd")

    def stored(*counts):
        return [Store(source=Source.AGGREGATE, count=count, address=0) for count in counts]

    def drained(*counts):
        return [
            Drain(order_base=0, count=count, emission=Emission(vectors=count, store=1))
            for count in counts
        ]

    one = predict(Program.of([*stored(40), *drained(20, 20)], config.digest), config)
    two = predict(Program.of([*stored(20, 20), *drained(40)], config.digest), config)
    assert one.active["store"] == two.active["store"] == 40
    assert 40 <= one.cycles - STATISTICS <= 90
    assert 40 <= two.cycles - STATISTICS <= 90


def test_more_latency_takes_longer_and_long_programs_are_predicted():
    config = AcceleratorConfig.from_toml("demo")
    load = next(islice(cases(config, (40,)), 1))
    program = load.program(config, 0, 10_000)
    near, far = (predict(program, config, f"ideal/{latency}") for latency in (8, 100))
    assert near.cycles >= 10_000 * 40 / config.vector_group
    assert far.cycles > near.cycles


def test_a_program_may_end_within_a_memory_word():
    config = AcceleratorConfig.from_toml("tall")
    per_word = config.memory_bytes // 32
    case = next(islice(cases(config, (4,)), 1))
    cycles = [predict(case.program(config, 0, count), config).cycles for count in range(1, 6)]
    assert per_word == 4 and cycles == sorted(cycles)
