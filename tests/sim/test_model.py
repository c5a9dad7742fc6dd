# SPDX-License-Identifier: Apache-2.0
"""The model does what a second, element-by-element formulation of the command set does."""

from dataclasses import replace

import numpy as np
import pytest

from gcnloom.errors import DeviceError, ProgramError
from gcnloom.programs.program import Program
from gcnloom.tensors.items import pack_beats, pack_order
from gcnloom_sim.model import Model, open_model
from gcnloom_sim.random_programs import MEMORY_BYTES, random_program
from gcnloom_spec.commands import Aggregate, Drain, Emission, Load, Store, Transform
from gcnloom_spec.config import AcceleratorConfig, named_configs
from gcnloom_spec.isa import Destination, Mode, Source, Target, Unit
from gcnloom_spec.items import edge_word, order_word
from gcnloom_spec.registers import STATISTICS
from tests.sim.slow_machine import SlowMachine

ODD = AcceleratorConfig.from_toml("odd")
PROGRAM_BYTES = 1 << 14


def machine(config, memory=b""):
    model = Model(config, (MEMORY_BYTES + PROGRAM_BYTES) // config.memory_bytes)
    model.write(0, memory)
    return model


def run(model, commands, seed=0, step=0):
    """Run commands as they stand, from behind the data."""
    program = Program.of(commands, model.config.digest)
    address = MEMORY_BYTES // model.config.memory_bytes
    data = program.to_bytes()
    model.write(address, data + bytes(-len(data) % model.config.memory_bytes))
    model.run(address, len(program), seed, step)


@pytest.mark.parametrize("name", named_configs())
@pytest.mark.parametrize("seed", range(3))
def test_random_programs_leave_the_same_bits_as_element_by_element_execution(name, seed):
    config = AcceleratorConfig.from_toml(name)
    rng = np.random.default_rng([seed, *name.encode()])
    model, slow = machine(config), SlowMachine(config, bytes(MEMORY_BYTES + PROGRAM_BYTES))
    for step in range(2):  # the second program finds what the first left on chip
        memory, program = random_program(config, rng, commands=30)
        model.write(0, memory)
        run(model, program.commands, seed=7, step=step)
        slow.memory[: len(memory)] = memory
        slow.memory[MEMORY_BYTES : MEMORY_BYTES + 32 * len(program)] = program.to_bytes()
        slow.counters.clear()
        slow.envelopes.clear()
        slow.saturations.clear()
        slow.run(MEMORY_BYTES // config.memory_bytes, len(program), 7, step)
        assert model.read(0, MEMORY_BYTES // config.memory_bytes) == slow.memory[:MEMORY_BYTES]
        envelopes, saturations = model.statistics()
        assert envelopes.tolist() == [slow.envelopes[tensor] for tensor in range(STATISTICS)]
        assert saturations.tolist() == [slow.saturations[tensor] for tensor in range(STATISTICS)]
        counters = model.counters()
        if not config.compact:  # Such a one counts cycles and commands only.
            assert {name: counters[name] for name in slow.counters} == slow.counters
        assert counters["commands"] == len(program)


def beats(config, **fields):
    """Beats in which PE 0 alone works; a field lists one value a beat."""
    packed = edge_word(config).pack(**fields)
    array = np.zeros((len(packed), config.pes), dtype=np.uint64)
    array[:, 0] = packed[:, 0]
    return pack_beats(config, array)


def test_first_forgets_only_earlier_beats():
    config = AcceleratorConfig.from_toml("smallest")
    model = machine(config)
    weights, first = [3, 5, 7, 11], [0, 1, 0, 0]
    columns = np.zeros(16, dtype=int)
    values = {"weight": columns.copy(), "first": columns.copy(), "valid": columns.copy()}
    for index in range(4):
        values["weight"][4 * index] = weights[index]
        values["first"][4 * index] = first[index]
        values["valid"][4 * index] = 1
    model.write(100, beats(config, column=columns, slot=columns + 2, **values))
    model.write(0, bytes([2, 0, 0, 0]))
    model.write(50, pack_order(config, order_word(config).pack(pe=0, slot=2, last=[1])[:, 0]))
    commands = [
        Load(target=Target.EDGES, base=0, count=16, address=100),
        Load(target=Target.OPERAND, base=0, count=1, address=0),
        Load(target=Target.ORDER, base=0, count=1, address=50, signals=2),
        Aggregate(edge_base=0, count=16, operand_base=0, waits=1),
        Aggregate(edge_base=8, count=1, operand_base=0),
        Store(source=Source.AGGREGATE, count=1, address=60, raw=1),
        Drain(order_base=0, count=1, emission=Emission(vectors=1, raw=1, store=1)),
    ]
    run(model, commands)
    assert int.from_bytes(model.read(60, 1), "little") == 2 * (5 + 7 + 11) + 2 * 7


STORE = Store(source=Source.TRANSFORM, count=2, address=0)
EMIT = Transform(mode=Mode.PASS, count=2, emission=Emission(vectors=2, store=1))
OUTPUTS = Transform(mode=Mode.OUTPUT_STATIONARY, count=2, last=0)
TO_LEFT = Emission(vectors=2, destination=Destination.LEFT)

BREACHES = {
    r"command 0 \(load\): no earlier command of store left": [
        Load(target=Target.LEFT, base=0, count=1, address=0, waits=1 << Unit.STORE)
    ],
    r"ends with 1 tokens from load to transform": [
        Load(target=Target.LEFT, base=0, count=1, address=0, signals=1 << Unit.TRANSFORM)
    ],
    r"the program ends with 1 tokens from transform to transform left over": [
        Transform(mode=Mode.OUTPUT_STATIONARY, count=2, last=0, signals=1 << Unit.TRANSFORM)
    ],
    r"command 0 \(load\): left 298..300 is outside the 300": [
        Load(target=Target.LEFT, base=298, count=3, address=0)
    ],
    r"left bank 2..2 is outside the 2": [
        Load(target=Target.LEFT, base=0, count=2, address=0, bank=2)
    ],
    r"device words 10239..10240 is outside the 10240": [
        Load(target=Target.LEFT, base=0, count=4, address=10239)
    ],
    r"items: count is 0": [Load(target=Target.LEFT, base=0, count=0, address=0)],
    r"edges: count is 0": [Aggregate(edge_base=0, count=0, operand_base=0)],
    r"the last drain-order entry lacks `last`": [
        Drain(order_base=0, count=1, emission=Emission(vectors=0))
    ],
    r"emits 2 vectors, the emission has 3": [replace(EMIT, emission=Emission(vectors=3))],
    r"command 0 \(transform\): 2 vectors of transform find no store": [EMIT],
    r"command 1 \(transform\): vectors of transform \(raw=0\) come before store 0": [
        replace(STORE, source=Source.AGGREGATE),
        EMIT,
    ],
    r"command 0 \(store\) has got 2 of 3 vectors": [replace(STORE, count=3), EMIT],
    r"command 2 \(transform\): output-stationary without `first`": [
        OUTPUTS,
        replace(EMIT, emission=Emission(vectors=2)),  # another mode: the array's sums are lost
        replace(OUTPUTS, first=0),
    ],
    r"a pass without `last`": [replace(EMIT, last=0)],
    r"raw sums go to a store or a step; try without a dest": [
        replace(EMIT, emission=replace(TO_LEFT, raw=1))
    ],
    r"reads and writes rows 1..2 of left.0": [
        Transform(mode=Mode.WEIGHT_STATIONARY, count=2, left_base=1, emission=TO_LEFT)
    ],
}


@pytest.mark.parametrize("message", BREACHES)
def test_a_breach_of_the_contract_names_the_command(message):
    with pytest.raises(ProgramError, match=message):
        run(machine(ODD), BREACHES[message])


@pytest.mark.parametrize("distance", [3, 4])
def test_edges_of_one_slot_must_keep_their_distance(distance):
    model = machine(ODD)
    valid = np.zeros(6, dtype=int)
    valid[[1, 1 + distance]] = 1
    model.write(0, beats(ODD, slot=valid * 9, valid=valid))
    commands = [
        Load(target=Target.EDGES, base=0, count=6, address=0, signals=2),
        Aggregate(edge_base=0, count=6, operand_base=0, waits=1),
    ]
    if distance == 4:
        run(model, commands)
        assert model.counters()["edges"] == 2
    else:
        with pytest.raises(ProgramError, match="PE 0 adds to slot 9 in beats 1 and 4"):
            run(model, commands)


BANKED = AcceleratorConfig.from_toml("banked")


def reads(columns, *, valid=1, operand_base=8):
    """Run a beat without an edge and one whose PEs read `columns`."""
    edges = np.zeros((2, BANKED.pes), dtype=np.uint64)
    edges[1] = edge_word(BANKED).pack(column=columns, slot=9, valid=valid)[:, 0]
    model = machine(BANKED)
    model.write(0, pack_beats(BANKED, edges))
    commands = [
        Load(target=Target.EDGES, base=0, count=2, address=0, signals=2),
        Aggregate(edge_base=0, count=2, operand_base=operand_base, waits=1),
    ]
    run(model, commands)
    return model.counters()["edges"]


def test_edges_of_a_beat_read_distinct_banks():
    assert reads([5, 8, 15]) == 3
    assert reads([5, 8, 13], valid=[1, 1, 0]) == 2
    for columns in ([5, 8, 13], [13, 8, 5]):
        message = r"command 1 .*PEs 0 and 2 both read operand bank 5 in beat 1; try a schedule"
        with pytest.raises(ProgramError, match=message):
            reads(columns)


def test_operands_begin_in_the_first_bank():
    assert reads([0, 1, 2], operand_base=240) == 3
    with pytest.raises(ProgramError, match="operand_base=12 is no multiple of operand_banks=8"):
        reads([0, 1, 2], operand_base=12)


def two_aggregates(distance, *, slot_base, between=()):
    """Two beats of PE 0 and slot 9, `distance` apart, the second in a command of its own."""
    valid = np.zeros(12, dtype=int)
    valid[[1, 8]] = 1
    model = machine(ODD)
    model.write(0, beats(ODD, slot=valid * 9, valid=valid))
    start = 8 - (distance - 1)  # the first command ends with its edge
    commands = [
        Load(target=Target.EDGES, base=0, count=12, address=0, signals=2),
        Aggregate(edge_base=0, count=2, operand_base=0, slot_base=20, waits=1),
        *between,
        Aggregate(edge_base=start, count=12 - start, operand_base=0, slot_base=slot_base),
    ]
    run(model, commands)
    return model


@pytest.mark.parametrize("distance", [1, 2, 3])
def test_the_distance_counts_through_commands(distance):
    with pytest.raises(
        ProgramError,
        match=rf"PE 0 adds to slot 29 in beat {distance - 1}, too soon after the command before",
    ):
        two_aggregates(distance, slot_base=20)
    assert two_aggregates(distance, slot_base=21).counters()["edges"] == 2
    assert two_aggregates(4, slot_base=20).counters()["edges"] == 2


def test_the_distance_counts_through_commands_that_are_shorter_than_it():
    one = Aggregate(edge_base=4, count=1, operand_base=0)
    with pytest.raises(ProgramError, match=r"command 4 .*PE 0 adds to slot 29 in beat 0"):
        two_aggregates(1, slot_base=20, between=[one] * 2)
    two_aggregates(1, slot_base=20, between=[one] * 3)


def test_a_program_follows_no_beats_of_the_one_before():
    model = machine(ODD)
    model.write(0, beats(ODD, slot=[3], valid=[1]))
    load = Load(target=Target.EDGES, base=0, count=1, address=0, signals=2)
    for _ in range(2):
        run(model, [load, Aggregate(edge_base=0, count=1, operand_base=0, waits=1)])


def test_both_sparse_commands_count_slots_from_their_base():
    """The same edges, once from slot 0 and once from slot 30, are drained from there."""
    config = AcceleratorConfig.from_toml("smallest")
    model = machine(config)
    model.write(0, bytes([3, 250, 0, 0]))
    model.write(50, pack_order(config, order_word(config).pack(pe=0, slot=[5, 6], last=1)[:, 0]))
    edges = {"column": [0, 0], "slot": [5, 6], "weight": [10, 7], "first": 1, "valid": 1}
    model.write(100, beats(config, **edges))
    commands = [
        Load(target=Target.EDGES, base=0, count=2, address=100),
        Load(target=Target.OPERAND, base=0, count=2, address=0),
        Load(target=Target.ORDER, base=0, count=2, address=50, signals=2),
        Aggregate(edge_base=0, count=2, operand_base=0, slot_base=0, waits=1),
        Aggregate(edge_base=0, count=2, operand_base=1, slot_base=30, signals=4),
    ]
    emission = Emission(vectors=2, raw=1, store=1)
    for index, base in enumerate((30, 0)):
        store = Store(source=Source.AGGREGATE, count=2, address=60 + 2 * index, raw=1)
        drain = Drain(order_base=0, count=2, emission=emission, slot_base=base)
        commands += [store, replace(drain, waits=2 * (index == 0))]
    run(model, commands)
    sums = np.frombuffer(model.read(60, 4), dtype=np.int32)
    assert sums.tolist() == [-60, -42, 30, 21]


@pytest.mark.parametrize(
    "command",
    [
        Aggregate(edge_base=0, count=1, operand_base=0, slot_base=141, waits=1),
        Drain(order_base=0, count=1, emission=Emission(vectors=1), slot_base=141, waits=1),
    ],
)
def test_a_slot_beyond_the_accumulators_is_named(command):
    model = machine(ODD)
    model.write(0, beats(ODD, slot=[9], valid=[1]))
    model.write(50, pack_order(ODD, order_word(ODD).pack(pe=0, slot=[9], last=[1])[:, 0]))
    load = Load(target=Target.EDGES, base=0, count=1, address=0)
    order = Load(target=Target.ORDER, base=0, count=1, address=50, signals=1 << command.unit)
    with pytest.raises(ProgramError, match=r"slot .* is outside the 150"):
        run(model, [load, order, command])
    run(model, [load, order, replace(command, slot_base=140)])


def test_seeds_are_32_bit_words():
    with pytest.raises(DeviceError, match="seed=4294967296 is no 32-bit word"):
        run(machine(ODD), [], seed=1 << 32)


def test_an_opened_model_has_the_memory_asked_for():
    model = open_model(ODD, memory_megabytes=2)
    assert model.identity().memory_words * ODD.memory_bytes == 2 << 20
