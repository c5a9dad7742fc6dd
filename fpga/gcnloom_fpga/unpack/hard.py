# SPDX-License-Identifier: Apache-2.0
"""Multipliers and single-port RAMs of an iCE40UP5K, as its configuration bits set them.

icebox_vlog leaves them out; it names the wires that end at them.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import TypeVar

from gcnloom_fpga.unpack.icebox import Configuration, Place
from gcnloom_spec.toolchain import ToolError

__all__ = ["hard_cells"]

BIT = re.compile(r"B(\d+)\[(\d+)\]")
UNCONNECTED = {"CE": 1}
"""Level of an input that no wire ends at; of the others it is 0."""
OUTPUTS = ("O", "CO", "DATAOUT")
CLOCKS = ("CLK", "CLOCK")
NUMBERED = re.compile(r"(.*)_(\d+)")
Value = TypeVar("Value")


def hard_cells(
    bits: Configuration,
    rams: Mapping[tuple[int, int, int], Mapping[str, Place]],
    nets: Mapping[Place, str],
) -> Iterator[str]:
    """Instances of a bitstream's hard cells.

    Parameters
    ----------
    bits : Configuration
    rams : Mapping
        Place of each single-port RAM to its ports and its bits.
    nets : Mapping[Place, str]
        Wire to the net that it is part of.
    """
    for x, y in sorted(bits.dsp_tiles[0]):
        ports = bits.get_dsp_nets_db(x, y)
        if any(ports[f"O_{bit}"] in nets for bit in range(32)):
            settings = {
                name: _bit(bits, place) for name, place in bits.get_dsp_config_db(x, y).items()
            }
            yield _instance("SB_MAC16", f"mac_{x}_{y}", settings, ports, nets)
    for (x, y, number), places in sorted(rams.items()):
        ports = dict(places)
        if _bit(bits, ports.pop("SPRAM_EN")):
            yield _instance("SB_SPRAM256KA", f"spram_{x}_{y}_{number}", {}, ports, nets)


def _bit(bits: Configuration, place: Place) -> int:
    x, y, name = place
    for where, *what in bits.tile_db(x, y):
        if what[-1] == name and what[0] in ("IpConfig", "RamConfig"):
            found = BIT.fullmatch(where[0])
            if found and len(where) == 1:
                return int(bits.tile(x, y)[int(found[1])][int(found[2])])
    raise ToolError(f"bit {name} of tile {x} {y} is unknown to icebox; try a newer fpga-icestorm")


def _instance(
    kind: str,
    name: str,
    settings: Mapping[str, int],
    ports: Mapping[str, Place],
    nets: Mapping[Place, str],
) -> str:
    parameters = [
        f".{key}({len(found)}'b{''.join(map(str, reversed(found)))})"
        for key, found in _vectors(settings).items()
    ]
    connections = []
    for port, wires in _vectors(ports).items():
        default = "" if port in OUTPUTS else f"1'b{UNCONNECTED.get(port, 0)}"
        found = [nets.get(wire, default) for wire in wires]
        if port in CLOCKS and default in found:
            raise ToolError(
                f"{kind} {name} of the bitstream has no clock at {wires}; try another fpga-icestorm"
            )
        if port in OUTPUTS:
            found = [net or f"{name}_{port}_{bit}" for bit, net in enumerate(found)]
        connections.append(f".{port}({{{', '.join(reversed(found))}}})")
    begin = f"{kind} #({', '.join(parameters)})" if parameters else kind
    return f"{begin} {name} ({', '.join(connections)});"


def _vectors(values: Mapping[str, Value]) -> dict[str, list[Value]]:
    """Put what only differs in a number behind its name together, lowest first."""
    numbered: defaultdict[str, dict[int, Value]] = defaultdict(dict)
    for name, value in values.items():
        found = NUMBERED.fullmatch(name)
        key, index = (found[1], int(found[2])) if found else (name, 0)
        numbered[key][index] = value
    return {key: [found[index] for index in sorted(found)] for key, found in numbered.items()}
