# SPDX-License-Identifier: Apache-2.0
"""A program that goes wrong on the gateware ends in a clear error, and the device goes on."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_array

from gcnloom.device import open as open_device
from gcnloom.errors import DeviceError, ProgramError
from gcnloom.programs.program import Program
from gcnloom.tensors.items import pack_beats
from gcnloom_sim import rtl
from gcnloom_sim.random_programs import MEMORY_BYTES, random_program
from gcnloom_spec.commands import Aggregate, Emission, Load, Scale, Store, Transform
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import ISA_VERSION, Mode, Rule, Source, Target, Unit
from gcnloom_spec.items import edge_word

pytestmark = pytest.mark.sim

SMALLEST = AcceleratorConfig.from_toml("smallest")
MEMORY_WORDS = (1 << 20) // SMALLEST.memory_bytes
LOAD = Load(target=Target.LEFT, base=0, count=4, address=0)


def of(*commands):
    return Program.of(commands, SMALLEST.digest)


def works(device):
    """Whether both engines multiply as they should, whatever is left in on-chip memories."""
    rng = np.random.default_rng(1)
    left, right = rng.integers(-60, 60, (40, 30)), rng.integers(-60, 60, (30, 5))
    sparse = left * (rng.random(left.shape) < 0.2)
    return np.array_equal(device.gemm(left, right), left @ right) and np.array_equal(
        device.spmm(csr_array(sparse), right), sparse @ right
    )


@pytest.fixture
def device():
    with open_device("rtl:smallest", memory_megabytes=1) as device:
        device.memory.allocate("data", MEMORY_BYTES // SMALLEST.memory_bytes)
        yield device


def test_a_wait_without_a_signal_is_a_hang_that_names_the_unit(device):
    with pytest.raises(DeviceError, match=r"hangs after \d+ cycles and 2 .*\(load_wait_store\)"):
        device.run(of(LOAD, replace(LOAD, waits=1 << Unit.STORE)))
    assert works(device)


def test_a_store_that_waits_for_more_vectors_than_come_is_a_hang(device):
    emission = Emission(vectors=2, shift=8, tensor=1, store=1)
    with pytest.raises(DeviceError, match=r"no unit waits for a token.*stores' counts"):
        device.run(
            of(
                Store(source=Source.TRANSFORM, count=3, address=0),
                Transform(mode=Mode.PASS, count=2, first=0, emission=emission),
            )
        )
    assert works(device)


def test_a_command_of_an_update_unit_that_is_not_there_is_refused():
    with open_device("rtl:short", memory_megabytes=1) as device:
        program = Program.of([LOAD, Scale(rule=Rule.SET, tensor=1)], device.config.digest)
        with pytest.raises(DeviceError, match=r"unknown opcode after 1 of 2 commands"):
            device.run(program)
        device.run(Program.of([LOAD], device.config.digest))


def test_the_diagnosis_of_a_hang_is_not_clouded_by_the_run_before(device):
    for waiting, giver in ((Unit.STORE, Unit.LOAD), (Unit.LOAD, Unit.TRANSFORM)):
        commands = {
            Unit.LOAD: LOAD,
            Unit.STORE: Store(source=Source.TRANSFORM, count=1, address=0),
        }
        with pytest.raises(DeviceError) as caught:
            device.run(of(replace(commands[waiting], waits=1 << giver)))
        assert f"({waiting.name.lower()}_wait_{giver.name.lower()})" in str(caught.value)


@pytest.mark.parametrize("opcode", [0, 10, 15])
def test_an_unknown_opcode_stops_the_program(device, opcode):
    words = of(*[LOAD] * 5).words.copy()
    words[3, 0] = words[3, 0] & ~np.uint64(15) | np.uint64(opcode)
    program = Program(words=words, config_digest=SMALLEST.digest)
    with pytest.raises(DeviceError, match="unknown opcode after 3 of 5 commands"):
        device.run(program)
    assert works(device)


def test_what_lies_behind_an_unknown_opcode_is_not_executed(device):
    store = Store(source=Source.TRANSFORM, count=4, address=9)
    emission = Emission(vectors=4, raw=1, store=1)
    last = Transform(mode=Mode.PASS, count=4, first=0, emission=emission)
    words = of(LOAD, LOAD, store, last).words.copy()
    words[1, 0] &= ~np.uint64(15)
    device.write_bytes(0, bytes(range(256)))
    with pytest.raises(DeviceError, match="after 1 of 4"):
        device.run(Program(words=words, config_digest=SMALLEST.digest))
    assert device.read_bytes(0, 64) == bytes(range(256))


def test_an_edge_that_comes_too_soon_is_reported_once(device):
    """The hazard is in the program's very last beat; the next program starts without it."""
    edges = edge_word(SMALLEST).pack(slot=[3, 4, 5, 3], weight=1, first=1, valid=1)
    device.write_bytes(0, pack_beats(SMALLEST, edges))
    load = Load(target=Target.EDGES, base=0, count=4, address=0, signals=1 << Unit.AGGREGATE)
    aggregate = Aggregate(edge_base=0, count=4, operand_base=0, waits=1 << Unit.LOAD)
    with pytest.raises(DeviceError, match="an edge came too soon after one of the same sum"):
        device.run(of(load, aggregate))
    device.run(of(load, replace(aggregate, count=3)))
    assert device.counters()["edges"] == 3


def test_a_load_beyond_the_memory_is_reported_once(device):
    with pytest.raises(DeviceError, match=rf"word {MEMORY_WORDS}, beyond .* {MEMORY_WORDS};"):
        device.run(of(replace(LOAD, address=MEMORY_WORDS)))
    assert works(device)


def test_a_store_beyond_the_memory_is_reported_once(device):
    emission = Emission(vectors=2, shift=8, tensor=1, store=1)
    with pytest.raises(DeviceError, match="the program reached word 4294967295, beyond"):
        device.run(
            of(
                Store(source=Source.TRANSFORM, count=2, address=(1 << 32) - 1),
                Transform(mode=Mode.PASS, count=2, first=0, emission=emission),
            )
        )
    assert works(device)


def test_an_address_of_one_program_is_not_held_against_the_next_after_a_hang(device):
    beyond = replace(LOAD, address=MEMORY_WORDS + 7)
    with pytest.raises(DeviceError, match="hangs"):
        device.run(of(beyond, replace(LOAD, waits=1 << Unit.STORE)))
    assert works(device)


@pytest.mark.parametrize("cycles", range(20, 400, 25))
def test_an_interrupted_run_leaves_no_answers_to_the_next(monkeypatch, cycles):
    """Reads are in flight when the run is abandoned; what comes back is not the next program."""

    goes_on, interrupted = rtl.RtlBus.goes_on, []

    def interrupt(bus, *, watched):
        if interrupted:
            return goes_on(bus, watched=watched)
        interrupted.append(goes_on(bus, watched=True))
        raise KeyboardInterrupt

    memory, program = random_program(SMALLEST, np.random.default_rng(2), commands=100)
    with open_device("rtl:smallest", memory_megabytes=1, latency=40) as device:
        device.memory.allocate("data", MEMORY_BYTES // SMALLEST.memory_bytes)
        device.write_bytes(0, memory)
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(rtl, "WATCHED", cycles)
            patch.setattr(rtl.RtlBus, "goes_on", interrupt)
            device.run(program)
        assert interrupted == [1]
        assert works(device)


def test_programs_for_other_gateware_are_refused_before_they_run(device):
    with pytest.raises(ProgramError, match="program is for configuration 0123456789abcdef"):
        device.run(Program.of([LOAD], "0123456789abcdef"))
    newer = Program(
        words=of(LOAD).words, config_digest=SMALLEST.digest, isa_version=ISA_VERSION + 1
    )
    with pytest.raises(ProgramError, match=f"version {ISA_VERSION + 1} of the command set"):
        device.run(newer)
    assert device.counters() == {}
