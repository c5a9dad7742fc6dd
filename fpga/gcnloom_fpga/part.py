# SPDX-License-Identifier: Apache-2.0
"""The FPGA that reports are made for, as data."""

from collections.abc import Mapping
from dataclasses import dataclass

from gcnloom_spec.ecp5 import PARTS

__all__ = ["LFE5U_85F", "Part"]


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
    """

    name: str
    options: tuple[str, ...]
    available: Mapping[str, int]
    clock_pin: str


LFE5U_85F = Part(
    name="LFE5U-85F-6BG381",
    options=("--85k", "--package", "CABGA381", "--speed", "6"),
    available=PARTS["lfe5u-85f"],
    clock_pin="G2",
)
