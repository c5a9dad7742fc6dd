# SPDX-License-Identifier: Apache-2.0
"""Random programs are legal, cover the command set, and depend on their tokens."""

from dataclasses import replace

import numpy as np
import pytest

from gcnloom.device import Device
from gcnloom.errors import ProgramError
from gcnloom.programs.program import Program
from gcnloom_sim.model import Model
from gcnloom_sim.random_programs import MEMORY_BYTES, random_program
from gcnloom_spec.commands import Aggregate, Drain, Load, Loss, Scale, Step, Store, Transform
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import Destination, Mode, Opcode, Rule, Source, Target, Unit

ODD = AcceleratorConfig.from_toml("odd")


def interleaved(commands, rng):
    """Another order in which the units could execute the commands, given their tokens."""
    queues = [[c for c in commands if c.unit == unit] for unit in Unit]
    tokens = np.zeros((len(Unit), len(Unit)), dtype=int)
    pending, order = [], []

    def ready(command):
        emission = getattr(command, "emission", None)
        if emission is not None and emission.store and emission.vectors:
            source = Source.AGGREGATE if isinstance(command, Drain) else Source.TRANSFORM
            store = pending[0] if pending else None
            if store is None or (store.source, store.raw) != (source, emission.raw):
                return False
        return all(tokens[v, command.unit] for v in Unit if command.waits >> v & 1)

    def complete(command):
        for v in Unit:
            tokens[command.unit, v] += command.signals >> v & 1

    while any(queues):
        ready_units = [unit for unit in Unit if queues[unit] and ready(queues[unit][0])]
        command = queues[ready_units[rng.integers(len(ready_units))]].pop(0)
        for v in Unit:
            tokens[v, command.unit] -= command.waits >> v & 1
        order.append(command)
        if isinstance(command, Store):
            pending.append(command)
            continue
        complete(command)
        emission = getattr(command, "emission", None)
        if emission is not None and emission.store and emission.vectors:
            complete(pending.pop(0))
    return order


def memory_after(commands, memory):
    device = Device(Model(ODD, 2 * MEMORY_BYTES // ODD.memory_bytes))
    address = device.memory.allocate("data", MEMORY_BYTES // ODD.memory_bytes)
    device.write_bytes(address, memory)
    device.run(Program.of(commands, ODD.digest), seed=5, step=6)
    return device.read_bytes(0, MEMORY_BYTES // ODD.memory_bytes)


@pytest.mark.parametrize("seed", range(5))
def test_every_interleaving_that_tokens_allow_has_the_same_result(seed):
    rng = np.random.default_rng(seed)
    memory, program = random_program(ODD, rng, commands=60)
    expected = memory_after(program.commands, memory)
    assert expected != memory
    for _ in range(4):
        order = interleaved(program.commands, rng)
        assert order != list(program.commands)
        assert memory_after(order, memory) == expected


def test_without_tokens_results_change():
    changed = 0
    for seed in range(5):
        rng = np.random.default_rng(seed)
        memory, program = random_program(ODD, rng, commands=60)
        expected = memory_after(program.commands, memory)
        free = [replace(command, waits=0, signals=0) for command in program.commands]
        try:
            changed += memory_after(interleaved(free, rng), memory) != expected
        except ProgramError:  # what one unit reads too early may even be illegal
            changed += 1
    assert changed >= 4


def test_the_same_seed_writes_the_same_program():
    one, two = (random_program(ODD, np.random.default_rng(9)) for _ in range(2))
    assert one == two
    assert random_program(ODD, np.random.default_rng(10)) != one
    assert len(one[0]) == MEMORY_BYTES


def test_programs_use_the_whole_command_set():
    rng = np.random.default_rng(11)
    commands = [c for _ in range(40) for c in random_program(ODD, rng)[1].commands]
    update = {Opcode.LOSS, Opcode.STEP, Opcode.SCALE, Opcode.REPEAT}
    assert {c.opcode for c in commands} == set(Opcode) - update
    loads = [c for c in commands if isinstance(c, Load)]
    assert {c.target for c in loads} == set(Target)
    transforms = [c for c in commands if isinstance(c, Transform)]
    assert {c.mode for c in transforms} == set(Mode)
    assert {c.bank for c in transforms} == {0, 1, 2}
    shapes = {(c.mode, c.first, c.last) for c in transforms if c.mode != Mode.PASS}
    assert len(shapes) == 8
    emitters = [c for c in commands if isinstance(c, Drain | Transform)]
    for kind in (Drain, Transform):
        emissions = [c.emission for c in emitters if isinstance(c, kind)]
        assert {e.destination for e in emissions} == set(Destination)
        for option in ("raw", "stochastic", "relu", "mask", "dropout", "store"):
            assert {getattr(e, option) for e in emissions} == {0, 1}
    counts = [c.count for c in commands]
    assert min(counts) == 1
    assert max(counts) >= 300
    assert {c.source for c in commands if isinstance(c, Store)} == set(Source)
    assert any(c.count > 8 for c in commands if isinstance(c, Aggregate))


def test_short_vectors_are_sliced():
    config = AcceleratorConfig.from_toml("short")
    rng = np.random.default_rng(12)
    commands = [c for _ in range(5) for c in random_program(config, rng)[1].commands]
    assert {c.slice for c in commands if isinstance(c, Transform)} == {0, 1}


def test_programs_with_updates_use_all_of_the_update_unit():
    rng = np.random.default_rng(13)
    commands = [c for _ in range(40) for c in random_program(ODD, rng, updates_in=5)[1].commands]
    assert {c.opcode for c in commands} == set(Opcode) - {Opcode.REPEAT}
    assert {c.rule for c in commands if isinstance(c, Scale)} == set(Rule)
    steps = [c for c in commands if isinstance(c, Step)]
    assert {c.source for c in steps} == set(Source)
    assert {c.stochastic for c in steps} == {0, 1}
    losses = [c for c in commands if isinstance(c, Loss)]
    for option in ("gradient", "judged", "first"):
        assert {getattr(c, option) for c in losses} == {0, 1}
    assert {c.panels for c in losses} == {1, 2, 3, 4}
    emissions = [c.emission for c in commands if isinstance(c, Drain | Transform)]
    assert {(e.scaled, e.raw) for e in emissions} == {(0, 0), (0, 1), (1, 0), (1, 1)}
    assert {(e.store, e.step) for e in emissions} == {(0, 0), (0, 1), (1, 0), (1, 1)}
