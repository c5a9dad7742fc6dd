# SPDX-License-Identifier: Apache-2.0
"""Counted memories and block RAMs are those of the gateware and of synthesis."""

import json
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.ecp5 import PARTS, block_rams, resources
from gcnloom_spec.memories import OnChipMemory, buffer_bytes, on_chip_memories

REPORTS = sorted((Path(__file__).parents[2] / "docs" / "results").glob("ecp5-*/report.json"))
MEMORY = re.compile(r"no_rw_check 1\n\s+memory width (\d+) size (\d+)")
TABLE = re.compile(r"(?<!no_rw_check 1)\n\s+memory width (\d+) size (1024)\b")


@pytest.mark.parametrize("name", ["odd", "wide", "tall", "short", "smallest", "banked", "sliced"])
def test_memories_are_those_of_the_generated_gateware(name):
    rtlil = pytest.importorskip("amaranth.back.rtlil")
    from gcnloom_hw.top import Top

    config = AcceleratorConfig.from_toml(name)
    text = rtlil.convert(Top(config), emit_src=False)
    found = [*MEMORY.findall(text), *TABLE.findall(text)]
    generated = Counter((int(width), int(size)) for width, size in found)
    listed = Counter()
    for memory in on_chip_memories(config):
        listed[memory.width, memory.depth] += memory.copies
    assert listed == generated
    bits = sum(width * size * count for (width, size), count in generated.items())
    assert buffer_bytes(config) == -(-bits // 8)


@pytest.mark.parametrize("path", REPORTS, ids=lambda path: path.parent.name)
def test_resources_are_those_that_synthesis_found(path):
    document = json.loads(path.read_text(encoding="utf-8"))
    sizes = dict(document["config"])
    config = AcceleratorConfig.from_mapping(
        {name: sizes[name] for name in sizes if name not in ("digest", "multipliers")}
    )
    used = {name: entry["used"] for name, entry in document["used"].items()}
    expected = resources(config)
    assert expected["DSP"] == used["DSP"]
    if document["stage"] == "synthesised":
        # What is routed takes long, and may be of gateware with other memories.
        assert expected["EBR"] == used["EBR"]
        assert expected["LUT"] == pytest.approx(used["LUT"], rel=0.005)


def test_a_block_ram_takes_the_shape_that_wastes_least():
    def rams(width, depth, copies=1):
        return block_rams(OnChipMemory(name="m", width=width, depth=depth, copies=copies))

    assert rams(36, 512) == rams(18, 1024) == rams(9, 2048) == rams(1, 16384) == 1
    assert rams(37, 512) == rams(36, 513) == 2
    assert rams(64, 4096, copies=4) == 64
    assert rams(9, 2049) == rams(20, 513) == 2
    assert rams(5, 8192) == rams(40, 1024) == 3


def test_small_memories_are_no_block_rams():
    def rams(width, depth):
        return block_rams(OnChipMemory(name="m", width=width, depth=depth, copies=2))

    assert rams(8, 160) == rams(9, 112) == rams(1, 256) == rams(64, 32) == 0
    assert rams(8, 256) == rams(9, 128) == rams(1, 1024) == rams(25, 64) == 2


def test_banks_trade_block_ram_for_look_up_tables():
    copies = AcceleratorConfig(
        pes=10, lanes=8, rows=8, columns=8, memory_bytes=32, operand_depth=4096
    )
    banks = replace(copies, operand_banks=32)
    assert buffer_bytes(copies) - buffer_bytes(banks) == 9 * 4096 * 8
    # What synthesis found for the memory alone.
    found = {"EBR": 64 - 160, "DSP": 0, "LUT": 16_600 - 2_600}
    few, many = resources(copies), resources(banks)
    assert {name: many[name] - few[name] for name in found} == pytest.approx(found, rel=0.05)


def test_slices_save_what_synthesis_of_the_update_unit_alone_found():
    whole = AcceleratorConfig(pes=1, lanes=16, rows=16, columns=16, master_width=16)
    one, four = (resources(replace(whole, update_lanes=lanes)) for lanes in (1, 4))
    found = {"EBR": 16 - 12, "DSP": 20 - 5, "LUT": 17_765 - 10_738}
    difference = {name: four[name] - one[name] for name in found}
    assert difference["LUT"] == pytest.approx(found["LUT"], rel=0.05)
    assert {**difference, "LUT": found["LUT"]} == found
    assert resources(whole)["DSP"] - one["DSP"] == 15 * 5


def test_the_144_multipliers_fit_the_largest_part():
    taken = resources(AcceleratorConfig.from_toml("mul144"))
    assert all(taken[name] <= PARTS["lfe5u-85f"][name] for name in taken)


def test_the_16_multipliers_keep_to_their_budget():
    config = AcceleratorConfig.from_toml("mul16")
    assert config.multipliers == 16
    assert config.memory_bytes <= 128
    assert buffer_bytes(config) <= 580_000
