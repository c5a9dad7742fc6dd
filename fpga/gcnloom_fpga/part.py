# SPDX-License-Identifier: Apache-2.0
"""The FPGA that reports are made for, as data."""

from collections.abc import Mapping
from dataclasses import dataclass

from gcnloom_spec.ecp5 import PARTS

__all__ = ["LFE5U_85F", "Part", "Site"]

WITHIN_GROUP = {
    "EBR": ((0, "EBR0"), (2, "EBR1"), (4, "EBR2"), (6, "EBR3")),
    "DSP": ((0, "MULT18_0"), (1, "MULT18_1"), (4, "MULT18_4"), (5, "MULT18_5")),
}
"""Column, from the group's first, and name of each site in a group of sites."""


@dataclass(frozen=True, kw_only=True)
class Site:
    """A place for a cell: its tile and, by nextpnr's naming, which of the tile's it is."""

    x: int
    y: int
    name: str


@dataclass(frozen=True, kw_only=True)
class Part:
    """An ECP5 device in its package.

    Parameters
    ----------
    name : str
    options : tuple[str, ...]
        Selects the device on nextpnr's command line.
    available : Mapping[str, int]
        Resource to how many there are.
    clock_pin : str
        A pin with a path to the global clock network, which not every pin has.
    groups : tuple[int, ...]
        First columns of the groups of sites in a row of block RAMs or multipliers.
    rows : dict[str, tuple[int, ...]]
        Rows of block RAMs (EBR) and of multipliers (DSP).
    """

    name: str
    options: tuple[str, ...]
    available: Mapping[str, int]
    clock_pin: str
    groups: tuple[int, ...]
    rows: dict[str, tuple[int, ...]]

    def sites(self, kind: str) -> list[Site]:
        """All sites for block RAMs (``EBR``) or multipliers (``DSP``)."""
        return [
            Site(x=group + column, y=row, name=f"X{group + column}/Y{row}/{name}")
            for row in self.rows[kind]
            for group in self.groups
            for column, name in WITHIN_GROUP[kind]
        ]


LFE5U_85F = Part(
    name="LFE5U-85F-6BG381",
    options=("--85k", "--package", "CABGA381", "--speed", "6"),
    available=PARTS["lfe5u-85f"],
    clock_pin="G2",
    groups=(4, 13, 22, 31, 40, 49, 58, 69, 78, 87, 96, 105, 114),
    rows={"EBR": (22, 46, 70, 82), "DSP": (10, 34, 58)},
)
