# SPDX-License-Identifier: Apache-2.0
"""Registers moved into block RAMs and multipliers: which ones. What they do then: test_netlists."""

import pytest

from gcnloom_fpga.pack import pack_registers


def _register(**changed):
    cell = {
        "type": "TRELLIS_FF",
        "parameters": {"CEMUX": "1 ", "CLKMUX": "CLK", "LSRMUX": "LSR", "REGSET": "RESET"},
        "connections": {"CLK": [1], "DI": [2], "CE": ["1"], "LSR": ["0"], "Q": [3]},
        "port_directions": dict.fromkeys(("CLK", "DI", "CE", "LSR"), "input") | {"Q": "output"},
    }
    return cell | {part: cell[part] | more for part, more in changed.items()}


def _memory_and(*, width=18, **registers):
    memory = {
        "type": "DP16KD",
        "parameters": {
            "REGMODE_A": "NOREG",
            "REGMODE_B": "NOREG",
            "DATA_WIDTH_B": f"{width:032b}",
        },
        "connections": {"CLKA": [1], "CLKB": [1], "DOB0": [2], "DOA0": [8]},
        "port_directions": dict.fromkeys(("CLKA", "CLKB", "OCEA", "OCEB"), "input")
        | {"DOB0": "output", "DOA0": "output"},
    }
    return {"cells": {"memory": memory, **registers}}


def test_a_plain_register_behind_a_memory_moves_into_it():
    module = _memory_and(register=_register())
    assert pack_registers(module)["memory output"] == 1
    assert list(module["cells"]) == ["memory"]
    memory = module["cells"]["memory"]
    assert memory["connections"]["DOB0"] == [3]
    assert (memory["parameters"]["REGMODE_A"], memory["parameters"]["REGMODE_B"]) == (
        "NOREG", "OUTREG",
    )  # fmt: skip
    assert memory["connections"]["OCEB"] == ["1"]


@pytest.mark.parametrize("half", ["DOA0", "DOB0"])
def test_a_wide_word_has_its_register_on_both_ports(half):
    """Whichever half is used: which port the lower one follows is not documented."""
    module = _memory_and(width=36, register=_register())
    memory = module["cells"]["memory"]
    memory["connections"] |= {"OCEA": ["0"], "OCEB": ["1"], "DOA0": [8], "DOB0": [9], half: [2]}
    assert pack_registers(module)["memory output"] == 1
    assert {memory["parameters"][f"REGMODE_{port}"] for port in "AB"} == {"OUTREG"}
    assert memory["connections"]["OCEA"] == memory["connections"]["OCEB"] == ["1"]


def test_a_wide_word_keeps_its_registers_outside_if_one_half_must():
    module = _memory_and(
        width=36, plain=_register(), enabled=_register(
            parameters={"CEMUX": "CE"}, connections={"CE": [7], "DI": [8], "Q": [4]}
        ),
    )  # fmt: skip
    assert pack_registers(module)["memory output"] == 0
    assert set(module["cells"]) == {"memory", "plain", "enabled"}


def test_a_memory_with_a_reset_takes_no_register():
    """The register would be cleared too, a cycle earlier than the one outside."""
    module = _memory_and(register=_register())
    module["cells"]["memory"]["connections"]["RSTB"] = [7]
    module["cells"]["memory"]["port_directions"]["RSTB"] = "input"
    assert pack_registers(module)["memory output"] == 0


@pytest.mark.parametrize(
    "registers",
    [
        {"cleared": _register(connections={"LSR": [7]})},
        {"enabled": _register(parameters={"CEMUX": "CE"}, connections={"CE": [7]})},
        {"set": _register(parameters={"REGSET": "SET"})},
        {"clocked": _register(connections={"CLK": [7]})},
        {"falling": _register(parameters={"CLKMUX": "INV"})},
        {"one": _register(), "other": _register(connections={"Q": [4]})},
    ],
    ids=lambda registers: next(iter(registers)),
)
def test_other_registers_stay(registers):
    module = _memory_and(**registers)
    assert pack_registers(module)["memory output"] == 0
    assert set(module["cells"]) == {"memory", *registers}
