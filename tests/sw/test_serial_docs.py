# SPDX-License-Identifier: Apache-2.0
"""The page about the link says what the contract and the host do."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from gcnloom.transport.serial.location import Location
from gcnloom_spec.link import ANSWER, FLAG, GREETING, RATES, REQUEST, Outcome, Request

PAGE = (Path(__file__).parents[2] / "docs" / "link.md").read_text(encoding="utf-8")


def table(first):
    """Rows of the table whose first heading is that, without it."""
    (found,) = re.findall(rf"^\| {first} \|.*\n\|[- |]*\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in found.splitlines()]


@pytest.mark.parametrize("word", [REQUEST, ANSWER, GREETING], ids=lambda word: word.name)
def test_fields_are_those_of_the_contract(word):
    assert {name: int(bits) for name, bits, *_ in table(word.name)} == dict(word.fields)
    assert [row[0] for row in table(word.name)] == list(word.fields)


@pytest.mark.parametrize(("heading", "kinds"), [("kind", Request), ("outcome", Outcome)])
def test_numbers_are_those_of_the_contract(heading, kinds):
    assert [(name.strip("`"), int(number)) for name, number, *_ in table(heading)] == [
        (kind.name, kind.value) for kind in kinds
    ]


def test_options_are_those_of_a_location():
    named = [row[0].strip("`").partition("=") for row in table("option")]
    assert [name for name, _, _ in named] == [f.name for f in fields(Location) if f.name != "port"]
    assert named[0][2] == str(RATES[0])
    assert f"`{FLAG:X}`" in PAGE


def test_messages_are_those_of_the_host():
    folder = Path(__file__).parents[2] / "sw" / "gcnloom" / "transport" / "serial"
    said = "\n".join(path.read_text(encoding="utf-8") for path in folder.glob("*.py"))
    said = re.sub(r'"\s*\n\s*f?"', "", said)
    for row in table("message"):
        pattern = re.escape(row[0]).replace("…", ".*?")
        assert re.search(pattern, said), row[0]
