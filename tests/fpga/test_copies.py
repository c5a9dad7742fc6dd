# SPDX-License-Identifier: Apache-2.0
"""Copies of registers that reset many others."""

from collections import Counter

from gcnloom_fpga.copies import MOST, copy_resets


def register(data, output, reset):
    connections = {"CLK": [2], "DI": [data], "Q": [output], "LSR": [reset]}
    return {"type": "TRELLIS_FF", "parameters": {}, "connections": connections}


def netlist(counts):
    """Registers by their units, all reset by bit 3, which a register with input 4 gives."""
    cells = {"top.reset": register(4, 3, "0")}
    for unit, count in counts.items():
        for _ in range(count):
            cells[f"{unit}.r{len(cells)}"] = register("1", 10 + len(cells), 3)
    return {"cells": cells}


def test_every_unit_is_reset_by_one_copy_of_the_same_register():
    module = netlist({"top.far.a": MOST - 1, "top.far.b": MOST, "top.near": 5})
    before = len(module["cells"])
    assert copy_resets(module) == 2 == len(module["cells"]) - before
    cells = module["cells"]
    sources = {
        cell["connections"]["Q"][0]: name
        for name, cell in cells.items()
        if cell["connections"]["DI"] == [4]
    }
    loads, units = Counter(), {}
    for name, cell in cells.items():
        (reset,) = cell["connections"]["LSR"]
        if reset != "0":
            loads[reset] += 1
            units.setdefault(name.rpartition(".")[0], set()).add(reset)
    assert set(loads) == set(sources) and max(loads.values()) <= MOST
    assert [len(sources) for sources in units.values()] == [1, 1, 1]


def test_a_register_that_resets_few_has_no_copy_nor_one_without_hierarchy():
    assert copy_resets(netlist({"top.far": MOST})) == 0
    assert copy_resets({"cells": {}}) == 0
