# SPDX-License-Identifier: Apache-2.0
"""A program survives packing, patching and saving; what does not is named."""

from dataclasses import fields, replace

import numpy as np
import pytest

from gcnloom.errors import ProgramError
from gcnloom.programs.program import Program, decode
from gcnloom_spec.commands import COMMANDS, Aggregate, Drain, Emission, Load, Store, Transform
from gcnloom_spec.isa import (
    EMISSION,
    ISA_VERSION,
    WORDS,
    Destination,
    Mode,
    Opcode,
    Source,
    Target,
    Unit,
)

DIGEST = "0123456789abcdef"


def random_command(rng):
    """Any command with any field values, legal or not."""
    opcode = list(COMMANDS)[rng.integers(len(COMMANDS))]
    kind, word = COMMANDS[opcode], WORDS[opcode]

    def value(name):
        width = word.fields[name]
        low = 0 if width > 0 else -(1 << -width - 1)
        return int(rng.integers(low, (1 << abs(width)) + low))

    values = {f.name: value(f.name) for f in fields(kind) if f.name != "emission"}
    if "emission" in {f.name for f in fields(kind)}:
        values["emission"] = Emission(**{name: value(name) for name in EMISSION})
    return kind(**values)


def packed_by_hand(command):
    """One Python integer, field after field."""
    word = WORDS[command.opcode]
    number = 0
    for name, offset in word.offsets.items():
        owner = command if hasattr(command, name) else command.emission
        width = abs(word.fields[name])
        number |= (int(getattr(owner, name)) & (1 << width) - 1) << offset
    return number


def test_encoding_places_every_field_and_decoding_returns_it():
    rng = np.random.default_rng(2)
    commands = [random_command(rng) for _ in range(300)]
    program = Program.of(commands, DIGEST)
    data = program.to_bytes()
    for index, command in enumerate(commands):
        word = int.from_bytes(data[32 * index : 32 * index + 32], "little")
        assert word == packed_by_hand(command)
    assert decode(program.encode()) == commands
    assert Program(words=program.words.copy(), config_digest=DIGEST) == program


def changed(commands, others):
    return [each for each, other in zip(commands, others, strict=True) if each != other]


def test_with_shifts_changes_only_the_shifts_of_those_tensors():
    rng = np.random.default_rng(3)
    commands = [random_command(rng) for _ in range(1500)]
    shifts = {5: 63, 6: 0, 7: 21, 63: 1}
    expected = [
        replace(command, emission=replace(command.emission, shift=shifts[command.emission.tensor]))
        if isinstance(command, Drain | Transform)
        and command.emission.tensor in shifts
        and command.emission.vectors
        else command
        for command in commands
    ]
    touched = {each.emission.tensor for each in changed(expected, commands)}
    assert touched == set(shifts)
    program = Program.of(commands, DIGEST)
    patched = program.with_shifts({5: 1}).with_shifts(shifts)
    assert list(patched.commands) == expected
    assert list(program.commands) == commands
    assert patched.digest != program.digest
    with pytest.raises(ProgramError, match="shift=64 does not fit 6 bits"):
        program.with_shifts({5: 64})


def test_listing_reads_like_assembly():
    emission = Emission(
        vectors=512, relu=1, shift=7, tensor=3, destination=Destination.LEFT, store=1
    )
    commands = [
        Load(
            target=Target.RIGHT, base=64, count=8, address=256, bank=1, signals=1 << Unit.TRANSFORM
        ),
        Store(source=Source.TRANSFORM, count=512, address=4096),
        Transform(
            mode=Mode.WEIGHT_STATIONARY,
            count=512,
            right_base=64,
            emission=emission,
            waits=1 << Unit.LOAD | 1 << Unit.AGGREGATE,
            signals=1 << Unit.STORE,
        ),
        Aggregate(edge_base=0, count=10, operand_base=5, slot_base=60),
        Drain(order_base=2, count=8, slot_base=60, emission=Emission(vectors=6, tensor=3)),
    ]
    lines = Program.of(commands, DIGEST).listing({3: "h1"}).splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["0", "load"],
        ["1", "store"],
        ["2", "transform"],
        ["3", "aggregate"],
        ["4", "drain"],
    ]
    assert "right.1 64+8  from 0x100" in lines[0]
    assert "ws  left 0+512  right 64  sums 0  first  last -> h1" in lines[2]
    assert "(relu, >>7) to left.0 0, store" in lines[2]
    assert lines[2].endswith("wait load,aggregate  signal store")
    assert lines[3].endswith("edges 0+10  operand 5  slots 60")
    assert "order 2+8  slots 60  -> h1" in lines[4]


def test_a_field_that_does_not_fit_is_named():
    with pytest.raises(ProgramError, match=r"load.base: value 65536 is outside 0..65535"):
        Program.of([Load(target=0, base=65536, count=1, address=0)], DIGEST)


def test_unknown_opcode_names_the_command():
    words = Program.of([Aggregate(edge_base=0, count=1, operand_base=0)] * 3, DIGEST).words.copy()
    words[1, 0] = 10
    with pytest.raises(ProgramError, match="command 1 has unknown opcode 10"):
        decode(words)


def test_a_saved_program_is_read_back(tmp_path):
    rng = np.random.default_rng(4)
    program = Program.of([random_command(rng) for _ in range(20)], DIGEST)
    program.save(tmp_path / "program.npz")
    loaded = Program.load(tmp_path / "program.npz")
    assert loaded == program
    assert loaded.commands == program.commands


@pytest.mark.parametrize("keep", [0, 10, 200, -1])
def test_a_truncated_program_is_refused(tmp_path, keep):
    path = tmp_path / "program.npz"
    Program.of([Aggregate(edge_base=0, count=1, operand_base=0)] * 99, DIGEST).save(path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ProgramError, match="program"):
        Program.load(path)


def test_a_changed_program_and_another_version_are_refused(tmp_path):
    path = tmp_path / "program.npz"
    program = Program.of([Aggregate(edge_base=0, count=1, operand_base=0)], DIGEST)
    program.save(path)
    parts = dict(np.load(path))
    np.savez(path, **parts | {"words": parts["words"] + np.uint64(1 << 20)})
    with pytest.raises(ProgramError, match="does not match its digest"):
        Program.load(path)
    np.savez(path, **parts | {"isa_version": np.array(7)})
    with pytest.raises(
        ProgramError, match=f"version 7 of the command set, this is version {ISA_VERSION}"
    ):
        Program.load(path)
    with pytest.raises(ProgramError, match="cannot read program"):
        Program.load(tmp_path / "absent.npz")


def test_every_opcode_is_known():
    assert set(COMMANDS) == set(Opcode)
