# SPDX-License-Identifier: Apache-2.0
"""FPGA parts as data: what they hold, how tools are told of them, where block RAMs lie."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from gcnloom_spec.ecp5 import PARTS

__all__ = ["LFE5U_85F", "Part", "Site", "part_named"]

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
    """A device in its package.

    Parameters
    ----------
    name : str
    family : str
        ``ecp5``, ``ice40`` or ``gowin``.
    options : tuple[str, ...]
        Selects the device on nextpnr's command line.
    available : Mapping[str, int]
        Resource to how many there are.
    clock_pin : str
        A pin with a path to the global clock network, which not every pin has; for designs that
        are measured without a board.
    groups : tuple[int, ...]
        First columns of the groups of sites in a row of block RAMs or multipliers.
    rows : dict[str, tuple[int, ...]]
        Rows of block RAMs (EBR) and of multipliers (DSP).
    """

    name: str
    family: str = "ecp5"
    options: tuple[str, ...]
    available: Mapping[str, int]
    clock_pin: str = ""
    groups: tuple[int, ...] = ()
    rows: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def sites(self, kind: str) -> list[Site]:
        """All sites for block RAMs (``EBR``) or multipliers (``DSP``)."""
        return [
            Site(x=group + column, y=row, name=f"X{group + column}/Y{row}/{name}")
            for row in self.rows[kind]
            for group in self.groups
            for column, name in WITHIN_GROUP[kind]
        ]


# The 12F is a 25F by another name.
ECP5_DIES = {"12": "25", "25": "25", "45": "45", "85": "85"}
ECP5_GROUPS = {
    "25": (4, 13, 22, 33, 42, 51, 60),
    "45": (4, 13, 22, 31, 42, 51, 60, 69, 78),
    "85": (4, 13, 22, 31, 40, 49, 58, 69, 78, 87, 96, 105, 114),
}
ECP5_ROWS = {
    "25": {"EBR": (25, 37), "DSP": (13,)},
    "45": {"EBR": (10, 34, 58), "DSP": (22, 46)},
    "85": {"EBR": (22, 46, 70, 82), "DSP": (10, 34, 58)},
}
ECP5_PACKAGES = {
    "BG256": "CABGA256", "BG381": "CABGA381", "BG554": "CABGA554", "BG756": "CABGA756",
    "MG285": "CSFBGA285", "TG144": "TQFP144",
}  # fmt: skip
ECP5 = re.compile(r"LFE5(U|UM|UM5G)-(12|25|45|85)F-([678])([A-Z]{2}\d{3})[CI]?")

ICE40 = {
    "iCE40UP5K-SG48": (
        ("--up5k", "--package", "sg48"),
        {"LUT": 5280, "FF": 5280, "EBR": 30, "DSP": 8, "SPRAM": 4},
    ),
    "iCE40HX8K-CT256": (
        ("--hx8k", "--package", "ct256"),
        {"LUT": 7680, "FF": 7680, "EBR": 32, "DSP": 0, "SPRAM": 0},
    ),
}
GOWIN = {
    # Multipliers are counted as 18x18; each is also two of 9x9.
    "GW1NR-LV9QN88PC6/I5": ("GW1N-9C", {"LUT": 8640, "FF": 6480, "EBR": 26, "DSP": 20}),
    "GW2AR-LV18QN88C8/I7": ("GW2A-18C", {"LUT": 20736, "FF": 15552, "EBR": 46, "DSP": 48}),
}
"""Part to nextpnr's name of its die, and what it has."""


def part_named(name: str) -> Part:
    """Return the part with a vendor's ordering code, such as ``LFE5U-85F-6BG381C``.

    Raises
    ------
    ValueError
        The part, or its package, is unknown.
    """
    found = ECP5.fullmatch(name)
    if found and found[4] in ECP5_PACKAGES:
        return _ecp5(name, *found.groups())
    if name in ICE40:
        options, available = ICE40[name]
        return Part(name=name, family="ice40", options=options, available=available)
    if name in GOWIN:
        die, available = GOWIN[name]
        device = ("--device", name, "--vopt", f"family={die}")
        return Part(name=name, family="gowin", options=device, available=available)
    known = ", ".join(["LFE5U-25F-6BG381C", *ICE40, *GOWIN])
    raise ValueError(f"part {name!r} is unknown; try one of the forms {known}")


def _ecp5(name: str, series: str, size: str, speed: str, package: str) -> Part:
    die = ECP5_DIES[size]
    flag = f"--{'' if series == 'U' else f'{series.lower()}-'}{size}k"
    return Part(
        name=name,
        options=(flag, "--package", ECP5_PACKAGES[package], "--speed", speed),
        available=PARTS[f"lfe5u-{die}f"],
        groups=ECP5_GROUPS[die],
        rows=ECP5_ROWS[die],
    )


LFE5U_85F = Part(
    name="LFE5U-85F-6BG381",
    options=("--85k", "--package", "CABGA381", "--speed", "6"),
    available=PARTS["lfe5u-85f"],
    clock_pin="G2",
    groups=ECP5_GROUPS["85"],
    rows=ECP5_ROWS["85"],
)
