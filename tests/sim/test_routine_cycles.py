# SPDX-License-Identifier: Apache-2.0
"""Losses, weight steps and whole routines take as many cycles as predicted, within a per cent."""

from itertools import pairwise

import pytest

from gcnloom import device as devices
from gcnloom.graphs import datasets
from gcnloom.programs.program import Program
from gcnloom.programs.routine import Part, Routine
from gcnloom.training.engine import Engine
from gcnloom.training.options import Options
from gcnloom.training.resident import Resident
from gcnloom.training.weights import first_weights
from gcnloom_sim.cycles import predict, predict_routine
from gcnloom_sim.cycles.routine import passes
from gcnloom_spec.commands import Drain, Emission, Loss, Repeat, Scale, Step
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import Rule, Source, Unit

TOLERANCE = 0.01


def _close(predicted, measured):
    assert abs(predicted / measured - 1) <= TOLERANCE, (predicted, measured)


def _train(device, data, hidden, **more):
    """Train for two epochs; return the routine that did, and its counters."""
    graph = datasets.load(data, seed=0)
    options = Options(epochs=2, optimiser="sgd", lr=0.2, hidden=hidden, **more)
    network = options.network(graph.features.shape[1], graph.classes)
    engine = Engine(graph, network, device, descends=True)
    resident = Resident(engine, graph, options)
    state = resident.first(first_weights(network, 0))
    routines = []
    run = engine.run_routine

    def spy(routine, **options):
        routines.append(routine)
        return run(routine, **options)

    engine.run_routine = spy
    _, result = resident.run(state, 2, lambda _: None)
    return routines[0], result.counters


@pytest.mark.sim
@pytest.mark.parametrize(
    ("data", "name", "hidden", "more"),
    [
        ("sbm:60,3", "smallest", 3, {}),
        ("sbm:120,3", "odd", 8, {}),
        ("sbm:120,3", "odd", 8, {"validate_every": 1}),
        ("sbm:300,3", "demo", 16, {}),
    ],
)
def test_a_training_takes_as_long_as_predicted(data, name, hidden, more):
    with devices.open(f"rtl:{name}", memory_megabytes=16) as device:
        routine, counters = _train(device, data, hidden, **more)
        predicted = predict_routine(routine)
        _close(predicted.cycles, counters["cycles"])
        for unit in Unit:
            name = unit.name.lower()
            waiting = sum(counters[f"{name}_wait_{other.name.lower()}"] for other in Unit)
            figures = {
                "active": counters[f"{name}_active"],
                "stalled": counters[f"{name}_stalled"],
                "waiting": waiting,
            }
            for kind, measured in figures.items():
                error = abs(getattr(predicted, kind)[name] - measured)
                assert error <= TOLERANCE * counters["cycles"], (name, kind)
        for part in routine.parts:
            measured = device.run(part.program).counters["cycles"]
            _close(predict(part.program, device.config).cycles, measured)


@pytest.mark.sim
@pytest.mark.parametrize("memory", ["ideal/40", "16/20", "sdram16"])
def test_a_training_from_a_slow_memory_takes_as_long_as_predicted(memory):
    with devices.open("rtl:odd", memory_megabytes=16, memory=memory) as device:
        routine, counters = _train(device, "sbm:120,3", 8)
        _close(predict_routine(routine, memory, device.load(routine)).cycles, counters["cycles"])


@pytest.mark.sim
@pytest.mark.parametrize("name", ["smallest", "odd"])
def test_what_lies_between_parts_takes_as_long_as_predicted_to_the_cycle(name):
    with devices.open(f"rtl:{name}", memory_megabytes=1) as device:
        fit, same = (
            Program.of([Scale(rule=rule, tensor=1, left=2, right=3)] * 9, device.config.digest)
            for rule in (Rule.FIT, Rule.SAME)
        )
        parts = [
            Part(program=same),
            Part(program=fit, repeat=Repeat(passes=4, loop=0), back=1),
            Part(program=same, repeat=Repeat(passes=3, loop=1), back=1),
        ]
        routine = Routine(parts=parts, config=device.config)
        device.run(routine)  # The first run of all waits until the reset has gone everywhere.
        assert predict_routine(routine).cycles == device.run(routine).counters["cycles"]


def test_parts_run_as_often_as_their_loops_say():
    config = AcceleratorConfig.from_toml("odd")
    empty = Program.of([Scale(rule=Rule.SAME, tensor=1, left=2)], config.digest)
    repeats = [
        Part(program=empty),
        Part(program=empty),
        Part(program=empty, repeat=Repeat(passes=3, loop=0), back=1),
        Part(program=empty, repeat=Repeat(passes=2, loop=1), back=1),
        Part(program=empty),
    ]
    once = [1, 2, 1, 2, 1, 2, 3]
    assert list(passes(Routine(parts=repeats, config=config))) == [0, *once, *once, 4]


def test_each_further_pass_adds_as_many_cycles():
    config = AcceleratorConfig.from_toml("odd")
    scale = Program.of([Scale(rule=Rule.FIT, tensor=1, left=2, right=3)], config.digest)
    cycles = []
    for count in range(2, 6):
        part = Part(program=scale, repeat=Repeat(passes=count, loop=0))
        cycles.append(predict_routine(Routine(parts=[part], config=config)).cycles)
    each = {after - before for before, after in pairwise(cycles)}
    assert len(each) == 1 and 17 < each.pop() < 60


def test_losses_steps_and_scales_take_turns():
    config = AcceleratorConfig.from_toml("odd")
    loss = Loss(
        count=40, classes=2, panels=1, address=0, labels=500, record=600, multiplier=1, logits=1
    )
    emission = Emission(vectors=40, raw=1, step=1)
    step = [
        Step(
            source=Source.AGGREGATE, count=40, address=700, operands=900, tensor=1, gradient=2,
            rate=1, rate_shift=1,
        ),
        Drain(order_base=0, count=40, emission=emission),
    ]  # fmt: skip
    scale = Scale(rule=Rule.FIT, tensor=1, left=2, right=3)
    alone = [
        predict(Program.of(commands, config.digest), config).cycles
        for commands in ([loss], step, [scale])
    ]
    together = predict(Program.of([loss, *step, scale], config.digest), config).cycles
    assert max(alone) < together < sum(alone)


def test_a_gradient_without_its_step_is_refused():
    config = AcceleratorConfig.from_toml("odd")
    drain = Drain(order_base=0, count=1, emission=Emission(vectors=1, raw=1, step=1))
    with pytest.raises(ValueError, match="or no step"):
        predict(Program.of([drain], config.digest), config)
