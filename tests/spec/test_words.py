# SPDX-License-Identifier: Apache-2.0
"""Words pack to the bits that plain integer arithmetic gives."""

import random

import numpy as np
import pytest

from gcnloom_spec.commands import COMMANDS
from gcnloom_spec.config import LABEL_BYTES, RECORD_BYTES
from gcnloom_spec.isa import COMMAND_BYTES, HEADER, LOOPS, WORDS, Opcode, Unit
from gcnloom_spec.items import LABEL, RECORD, Split
from gcnloom_spec.words import Word

STRADDLING = Word("w", {"a": 60, "b": -10, "c": 63, "d": 1, "e": -63, "f": 63, "g": -1})


def _limits(width):
    return (0, 2**width - 1) if width > 0 else (-(2 ** (-width - 1)), 2 ** (-width - 1) - 1)


def _values(word, rng, count):
    """Random values of every field, the limits among them."""
    values = {}
    for field, width in word.fields.items():
        low, high = _limits(width)
        values[field] = [low, high, *(rng.randint(low, high) for _ in range(count - 2))]
    return values


def _reference(word, values, index):
    """Pack with Python's unbounded integers."""
    whole = position = 0
    for field, width in word.fields.items():
        whole |= (values[field][index] % 2 ** abs(width)) << position
        position += abs(width)
    return whole


@pytest.mark.parametrize(
    "word", [STRADDLING, LABEL, RECORD, *WORDS.values()], ids=lambda word: word.name
)
def test_packed_bits_equal_integer_arithmetic_and_unpack_inverts(word):
    values = _values(word, random.Random(1), 50)
    packed = word.pack(**values)
    assert packed.shape == (50, word.limbs)
    for index in range(50):
        whole = int.from_bytes(packed[index].astype("<u8").tobytes(), "little")
        assert whole == _reference(word, values, index)
    unpacked = word.unpack(packed)
    assert {field: array.tolist() for field, array in unpacked.items()} == values


def test_fields_do_straddle_limbs_in_the_words_tested():
    straddling = {
        field
        for field, width in STRADDLING.fields.items()
        if STRADDLING.offsets[field] // 64 != (STRADDLING.offsets[field] + abs(width) - 1) // 64
    }
    assert {"b", "c", "e"} <= straddling


def test_scalars_broadcast_and_absent_fields_are_zero():
    word = Word("w", {"a": 4, "b": 8, "c": -4})
    packed = word.pack(a=[[1], [2]], c=[-1, 0, 7])
    assert packed[..., 0].tolist() == [[0xF001, 0x0001, 0x7001], [0xF002, 0x0002, 0x7002]]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"a": 16}, r"w\.a: value 16 is outside 0\.\.15"),
        ({"a": [3, -1, 4]}, r"w\.a: value -1 is outside 0\.\.15"),
        ({"s": 8}, r"w\.s: value 8 is outside -8\.\.7"),
        ({"s": -9}, r"w\.s: value -9 is outside -8\.\.7"),
        ({"nothing": 1}, r"w has no field 'nothing'"),
    ],
)
def test_value_that_does_not_fit_is_named(values, message):
    with pytest.raises(ValueError, match=message):
        Word("w", {"a": 4, "s": -4}).pack(**values)


@pytest.mark.parametrize("width", [0, 64, -64])
def test_width_outside_the_limbs_is_refused(width):
    with pytest.raises(ValueError, match=rf"w\.a: width {width} is outside"):
        Word("w", {"a": width})


def test_fields_cannot_be_changed_behind_the_word():
    fields = {"a": 4}
    word = Word("w", fields)
    fields["b"] = 4
    assert word.width == 4
    with pytest.raises(TypeError):
        word.fields["b"] = 4


def test_every_command_fits_and_begins_with_the_same_header():
    assert set(WORDS) == set(COMMANDS) == set(Opcode)
    for opcode, word in WORDS.items():
        assert word.width <= 8 * COMMAND_BYTES
        assert int(word.pack(opcode=opcode)[0]) == opcode
    for opcode in set(WORDS) - {Opcode.REPEAT}:
        word = WORDS[opcode]
        assert list(word.fields.items())[:3] == [("opcode", 4), ("waits", 6), ("signals", 6)]
        assert int(word.pack(opcode=opcode, waits=3, signals=57)[0]) == opcode | 3 << 4 | 57 << 10
    assert all(width == len(Unit) for name, width in HEADER.items() if name != "opcode")


def test_every_unit_has_opcodes_and_a_repeat_is_of_none():
    units = {opcode: COMMANDS[opcode].unit for opcode in set(Opcode) - {Opcode.REPEAT}}
    assert set(units.values()) == set(Unit)
    update = {opcode for opcode, unit in units.items() if unit == Unit.UPDATE}
    assert update == {Opcode.LOSS, Opcode.STEP, Opcode.SCALE}
    assert len(units) - len(update) == len(Unit) - 1
    assert not hasattr(COMMANDS[Opcode.REPEAT], "unit")
    assert LOOPS == 1 << WORDS[Opcode.REPEAT].fields["loop"]


def test_labels_and_records_fit_their_items_and_hold_their_largest_values():
    assert LABEL.width <= 8 * LABEL_BYTES
    assert RECORD.width <= 8 * RECORD_BYTES
    assert max(Split) < 1 << LABEL.fields["split"]
    assert LABEL.fields["label"] == WORDS[Opcode.LOSS].fields["classes"]
    # Losses of 2 ** 24 nodes: none is beyond 32 nats and a bit for each of a class number.
    assert 59 * 1024 << RECORD.fields["val_correct"] < 1 << RECORD.fields["val_loss"]


def test_nothing_packs_to_nothing():
    word = WORDS[Opcode.LOAD]
    assert word.pack(base=np.zeros(0, dtype=np.int64)).shape == (0, word.limbs)
