# SPDX-License-Identifier: Apache-2.0
"""The FPGA that reports are made for, as data."""

from dataclasses import dataclass

__all__ = ["LFE5U_85F", "Part"]


@dataclass(frozen=True, kw_only=True)
class Part:
    """An ECP5 device in its package.

    Parameters
    ----------
    name : str
    options : tuple[str, ...]
        Selects the device on nextpnr's command line.
    available : dict[str, int]
        Resource to how many there are.
    clock_pin : str
        A pin with a path to the global clock network, which not every pin has.
    """

    name: str
    options: tuple[str, ...]
    available: dict[str, int]
    clock_pin: str


LFE5U_85F = Part(
    name="LFE5U-85F-6BG381",
    options=("--85k", "--package", "CABGA381", "--speed", "6"),
    available={"LUT": 83640, "FF": 83640, "EBR": 208, "DSP": 156},
    clock_pin="G2",
)
