# SPDX-License-Identifier: Apache-2.0
"""The longest paths of a placed design, estimated: nextpnr names them only after routing."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Path", "longest_paths"]

# Nanoseconds, LFE5U speed grade 6; wires as nextpnr estimates them, scaled to agree with it.
LOGIC, CARRY, INTO_CARRY, OUT_OF_CARRY, MULTIPLY = 0.24, 0.07, 0.45, 0.4, 3.9
CLOCK_TO_OUTPUT = {"TRELLIS_FF": 0.52, "DP16KD": 5.7}
REGISTERED_TO_OUTPUT = 1.0
"""From a register inside a block RAM or a multiplier."""
ENDS = ("TRELLIS_FF", "DP16KD", "TRELLIS_RAMW")
CONTROL_SETUP = 0.2
WIRE = 0.075
CLOCKS = ("CLK", "WCK")
NOT_THROUGH = {"CLK", "CE", "LSR", "WCK", "WRE", "WD", "WAD0", "WAD1", "WAD2", "WAD3"}
WIDE_ONLY = {"M", "F1", "FXA", "FXB"}
WITHIN_TILE = {"F1", "FXA", "FXB", "FCI", "DI"}
CONSTANTS = "$PACKER_"


@dataclass(frozen=True, kw_only=True)
class Path:
    """The longest path between two groups of registers, their bits taken together.

    Attributes
    ----------
    start, end : str
    nanoseconds : float
    ends : int
        Registers of the group that paths as slow as `slow` end at.
    steps : tuple of (float, str, int)
        Arrival time, net and its fan-out, from the start on.
    """

    start: str
    end: str
    nanoseconds: float
    ends: int
    steps: tuple[tuple[float, str, int], ...]


def longest_paths(design: Mapping[str, Any], *, most: int, slow: float) -> list[Path]:
    """Return groups of paths of what ``nextpnr --write`` wrote, the slowest first."""
    (module,) = design["modules"].values()
    return _Timing(module).groups(most, slow)


class _Timing:
    def __init__(self, module: Mapping[str, Any]) -> None:
        self._cells = module["cells"]
        self._names: dict[int, str] = {}
        for name, net in module["netnames"].items():
            for bit in net["bits"]:
                self._names.setdefault(bit, name)
        self._places = {name: _place(cell) for name, cell in self._cells.items()}
        self._drivers: dict[int, tuple[str, str]] = {}
        self._fanout: Counter[int] = Counter()
        for name, cell in self._cells.items():
            for port, bit in _bits(cell):
                if cell["port_directions"][port] == "output":
                    self._drivers[bit] = name, port
                else:
                    self._fanout[bit] += 1
        self._arrivals: dict[int, float] = {}
        self._before: dict[int, int] = {}

    def groups(self, most: int, slow: float) -> list[Path]:
        worst: dict[tuple[str, str], tuple[float, int]] = {}
        count: Counter[tuple[str, str]] = Counter()
        for name, cell in self._cells.items():
            setup = _setup(cell)
            if setup is None:
                continue
            for port, bit in _bits(cell):
                if cell["port_directions"][port] != "input" or port.startswith(CLOCKS):
                    continue
                time = self._arrival(bit) + self._wire(bit, name, port)
                time += 0.0 if port in ("DI", "M") else setup
                key = _group(self._names.get(self._trail(bit)[0], "?")), _group(name)
                count[key] += time > slow
                worst[key] = max(worst.get(key, (0.0, bit)), (time, bit))
        slowest = sorted(worst.items(), key=lambda entry: -entry[1][0])[:most]
        return [
            Path(
                start=key[0], end=key[1], nanoseconds=time, ends=count[key], steps=self._steps(bit)
            )
            for key, (time, bit) in slowest
        ]

    def _arrival(self, bit: int) -> float:
        """When a net's driver has settled; without recursion, for carry chains are long."""
        waiting = [bit]
        while waiting:
            net = waiting[-1]
            inputs = [] if net in self._arrivals else self._inputs(net)
            missing = [source for source, _, _ in inputs if source not in self._arrivals]
            if missing:
                self._arrivals.update(dict.fromkeys(set(missing) & set(waiting), 0.0))
                waiting += [source for source in missing if source not in self._arrivals]
                continue
            waiting.pop()
            if net not in self._arrivals:
                self._settle(net, inputs)
        return self._arrivals[bit]

    def _settle(self, net: int, inputs: list[tuple[int, str, float]]) -> None:
        cell, port = self._drivers.get(net, ("", ""))
        time = (_clock_to_output(self._cells[cell], port) if cell else None) or 0.0
        for source, port, delay in inputs:
            through = self._arrivals[source] + self._wire(source, cell, port) + delay
            if through > time:
                time, self._before[net] = through, source
        self._arrivals[net] = time

    def _inputs(self, net: int) -> list[tuple[int, str, float]]:
        """Nets, ports and delays through the cell that drives a net."""
        if net not in self._drivers or self._names.get(net, "").startswith(CONSTANTS):
            return []
        name, output = self._drivers[net]
        cell = self._cells[name]
        if _clock_to_output(cell, output) is not None:
            return []
        return [
            (bit, port, _delay(cell["type"], port, output))
            for port, bit in _bits(cell)
            if cell["port_directions"][port] == "input"
            and port not in NOT_THROUGH
            and not (output == "F" and port in WIDE_ONLY)
        ]

    def _wire(self, net: int, cell: str, port: str) -> float:
        if net not in self._drivers or self._names.get(net, "").startswith(CONSTANTS):
            return 0.0
        here, there = self._places[self._drivers[net][0]], self._places[cell]
        apart = [abs(one - other) for one, other in zip(here, there, strict=True)]
        if port == "FCI" or (port in WITHIN_TILE and apart == [0, 0]):
            return 0.0
        return WIRE * (6 + sum(max(d - 5, 0) + 2 * min(d, 5) for d in apart))

    def _trail(self, bit: int) -> list[int]:
        self._arrival(bit)
        trail = [bit]
        while trail[-1] in self._before:
            trail.append(self._before[trail[-1]])
        return trail[::-1]

    def _steps(self, bit: int) -> tuple[tuple[float, str, int], ...]:
        return tuple(
            (self._arrivals[net], self._names.get(net, "?"), self._fanout[net])
            for net in self._trail(bit)
        )


def _clock_to_output(cell: Mapping[str, Any], port: str) -> float | None:
    """Delay of an output behind a register; None if logic drives it."""
    parameters = cell["parameters"]
    if cell["type"] == "MULT18X18D":
        return REGISTERED_TO_OUTPUT if "REG_OUTPUT_CLK" in parameters else None
    if cell["type"] == "DP16KD" and parameters.get(f"REGMODE_{port[2]}") == "OUTREG":
        return REGISTERED_TO_OUTPUT
    return CLOCK_TO_OUTPUT.get(cell["type"])


def _setup(cell: Mapping[str, Any]) -> float | None:
    """Time that inputs must settle before the clock; None if nothing is clocked."""
    if cell["type"] == "MULT18X18D":
        if "REG_INPUTA_CLK" in cell["parameters"]:
            return CONTROL_SETUP
        return MULTIPLY if "REG_OUTPUT_CLK" in cell["parameters"] else None
    return CONTROL_SETUP if cell["type"] in ENDS else None


def _delay(kind: str, port: str, output: str) -> float:
    if kind == "MULT18X18D":
        return MULTIPLY
    if port == "FCI":
        return CARRY if output == "FCO" else OUT_OF_CARRY
    return INTO_CARRY if output == "FCO" else LOGIC


def _bits(cell: Mapping[str, Any]) -> list[tuple[str, int]]:
    return [
        (port, bit)
        for port, bits in cell["connections"].items()
        for bit in bits
        if isinstance(bit, int)
    ]


def _place(cell: Mapping[str, Any]) -> tuple[int, int]:
    found = re.match(r"X(\d+)/Y(\d+)", cell["attributes"].get("NEXTPNR_BEL", ""))
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _group(name: str) -> str:
    """Name without what tells the bits of a register, or equal rows, apart."""
    return re.sub(r"_TRELLIS_FF_Q.*|\[\d+\]|\d+", "", name.replace("design.accelerator.", ""))
