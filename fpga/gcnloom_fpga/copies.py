# SPDX-License-Identifier: Apache-2.0
"""Give each part of a design a copy of the register that resets it.

A register that resets a thousand others lies far from most of them, and nextpnr copies none. Each
copy has the same input in the same clock, so that nothing but the wires changes.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any

__all__ = ["MOST", "copy_resets"]

MOST = 256
"""Registers that one resets."""
REGISTER, OUTPUT, RESET = "TRELLIS_FF", "Q", "LSR"


def copy_resets(module: Mapping[str, Any]) -> int:
    """Copy registers, changing the module of yosys' JSON netlist; count the copies.

    Registers that are reset together are those whose hierarchical names agree as far as can be.
    """
    cells = module["cells"]
    resets: dict[int, list[str]] = defaultdict(list)
    for name, cell in cells.items():
        if cell["type"] == REGISTER:
            for bit in cell["connections"].get(RESET, ()):
                resets[bit].append(name)
    fresh = 1 + max((bit for bit in _bits(cells) if isinstance(bit, int)), default=0)
    copies = 0
    for name, cell in list(cells.items()):
        if cell["type"] != REGISTER:
            continue
        (output,) = cell["connections"][OUTPUT]
        # The first share stays with the register itself.
        for share in _shares(sorted(resets[output]))[1:]:
            connections = cell["connections"] | {OUTPUT: [fresh]}
            cells[f"{name}_copy{fresh}"] = cell | {"connections": connections}
            for reset in share:
                cells[reset]["connections"][RESET] = [fresh]
            fresh, copies = fresh + 1, copies + 1
    return copies


def _shares(names: list[str], depth: int = 1) -> list[list[str]]:
    """Cut sorted names where their hierarchy does; none has more than MOST, if it has parts."""
    if len(names) <= MOST or not any(name.count(".") >= depth for name in names):
        return [names]
    shares: list[list[str]] = []
    for _, part in groupby(names, key=lambda name: name.split(".")[:depth]):
        for share in _shares(list(part), depth + 1):
            if shares and len(shares[-1]) + len(share) <= MOST:
                shares[-1] += share
            else:
                shares.append(share)
    return shares


def _bits(cells: Mapping[str, Any]) -> Iterator[int | str]:
    for cell in cells.values():
        for bits in cell["connections"].values():
            yield from bits
