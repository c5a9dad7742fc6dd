# SPDX-License-Identifier: Apache-2.0
"""The generated page says what the contract says today."""

import re
from pathlib import Path

from gcnloom_spec.__main__ import markdown
from gcnloom_spec.isa import WORDS, Opcode
from gcnloom_spec.registers import COUNTER_BASE, COUNTERS, REGISTERS

PAGE = Path(__file__).parents[2] / "docs" / "isa.md"
REMEDY = "docs/isa.md is stale; run: python -m gcnloom_spec > docs/isa.md"


def test_isa_page_is_up_to_date():
    assert PAGE.read_text(encoding="utf-8") == markdown(), REMEDY


def test_bit_positions_on_the_page_pack_like_the_words():
    for opcode in Opcode:
        section = markdown().split(f"\n### {opcode.name}\n")[1].split("\n#")[0]
        rows = re.findall(r"\| (\d+)(?::(\d+))? \| `(\w+)` \|", section)
        assert [name for _, _, name in rows] == list(WORDS[opcode].fields)
        for first, second, name in rows:
            high, low = int(first), int(second or first)
            value = (1 << (high - low + 1)) - 1
            signed = WORDS[opcode].fields[name] < 0
            limbs = WORDS[opcode].pack(**{name: -1 if signed else value})
            whole = sum(int(limb) << (64 * index) for index, limb in enumerate(limbs))
            assert whole == value << low


def test_every_register_and_counter_is_listed_at_its_address():
    rows = dict(re.findall(r"\| (\d+) \| `(\w+)` \|", markdown().split("\n## Registers\n")[1]))
    expected = {str(register.address): name for name, register in REGISTERS.items()}
    expected |= {str(COUNTER_BASE + index): name for index, name in enumerate(COUNTERS)}
    assert rows == expected


def test_no_restructured_text_is_left_on_the_page():
    text = re.sub(r"(?s)```.*?```", "", markdown())
    assert "::" not in text
    assert "``" not in text
    assert re.search(r":\w+:`", text) is None
