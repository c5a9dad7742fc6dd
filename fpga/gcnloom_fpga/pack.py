# SPDX-License-Identifier: Apache-2.0
"""Move registers of a netlist into the block RAMs and multipliers they belong to.

yosys maps memories and products to bare cells and leaves the registers around them in the fabric,
where a block RAM answers after 5.8 ns and a multiplier after 3.9, and a wire follows. The cells
have registers of their own. Only plain ones are moved, which load every cycle, start at zero and
are never reset, so that the cell with its register does what the two did before.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["pack_registers"]

MULTIPLIER = "MULT18X18D"
MEMORY = "DP16KD"
WIDE = 36
"""Bits of a word that both ports carry: the lower half leaves by port A, though B reads it."""
REGISTERED, UNREGISTERED = "OUTREG", "NOREG"
CLOCKED = {"REG_INPUTA": ("A",), "REG_INPUTB": ("B",), "REG_OUTPUT": ("P",)}
CLOCK, ENABLE, RESET = "CLK0", "CE0", "RST0"


def pack_registers(module: Mapping[str, Any]) -> dict[str, int]:
    """Move registers, changing the module of yosys' JSON netlist; count the cells that got some.

    A cell takes the registers behind an output if every used bit of it goes to one of them and
    nowhere else; a multiplier then also takes those before both of its operands.

    Returns
    -------
    dict
        Kind of register (``memory output``, ``product``, ``operands``) to cells that took it.
    """
    netlist = _Netlist(module["cells"])
    packed = {"memory output": 0, "product": 0, "operands": 0}
    for name, cell in list(module["cells"].items()):
        if cell["type"] == MEMORY:
            _pack_memory(netlist, name, cell, packed)
    for name, cell in list(module["cells"].items()):
        if cell["type"] == MULTIPLIER and CLOCK not in cell["connections"]:
            _pack_multiplier(netlist, name, cell, packed)
    return packed


def _pack_memory(
    netlist: "_Netlist", name: str, cell: dict[str, Any], packed: dict[str, int]
) -> None:
    parameters, connections = cell["parameters"], cell["connections"]
    wide = int(str(parameters.get("DATA_WIDTH_B", "0")), 2) == WIDE
    # Which port's settings a wide word's lower half follows is not documented: they are the same.
    for reader, ports in (("B", "AB"),) if wide else (("A", "A"), ("B", "B")):
        modes = [f"REGMODE_{port}" for port in ports]
        resets = [connections.get(f"RST{port}", ["0"]) for port in ports]
        if (
            all(parameters.get(mode, UNREGISTERED) == UNREGISTERED for mode in modes)
            and all(reset in ([], ["0"]) for reset in resets)
            and netlist.absorb(
                name, tuple(f"DO{port}" for port in ports), connections[f"CLK{reader}"]
            )
        ):
            parameters.update(dict.fromkeys(modes, REGISTERED))
            for port in ports:
                cell["port_directions"][f"OCE{port}"] = "input"
                connections[f"OCE{port}"] = ["1"]
            packed["memory output"] += 1


def _pack_multiplier(
    netlist: "_Netlist", name: str, cell: dict[str, Any], packed: dict[str, int]
) -> None:
    clock = netlist.clock_behind(name, "P")
    if clock is None or not netlist.absorb(name, ("P",), clock):
        return
    clocked = ["REG_OUTPUT"]
    packed["product"] += 1
    # nextpnr times registers before both operands or none.
    if netlist.adopt(name, ("A", "B"), clock):
        clocked += ["REG_INPUTA", "REG_INPUTB"]
        packed["operands"] += 1
    for register in clocked:
        for suffix, signal in (("CLK", CLOCK), ("CE", ENABLE), ("RST", RESET)):
            cell["parameters"][f"{register}_{suffix}"] = signal
    for port, bits in ((CLOCK, clock), (ENABLE, ["1"]), (RESET, ["0"])):
        cell["port_directions"][port] = "input"
        cell["connections"][port] = bits


class _Netlist:
    """Cells with, for every net, what drives it and where it goes."""

    def __init__(self, cells: dict[str, Any]) -> None:
        self._cells = cells
        self._drivers: dict[int, str] = {}
        self._loads: dict[int, set[tuple[str, str]]] = defaultdict(set)
        for name, cell in cells.items():
            for port, bits in cell["connections"].items():
                for bit in bits:
                    if cell["port_directions"][port] == "output":
                        self._drivers[bit] = name
                    else:
                        self._loads[bit].add((name, port))

    def clock_behind(self, name: str, prefix: str) -> list[Any] | None:
        """Clock of a register behind an output, if there is one."""
        for _, bit in self._ports(name, prefix):
            for load, _ in self._loads[bit]:
                if self._cells[load]["type"] == "TRELLIS_FF":
                    return list(self._cells[load]["connections"]["CLK"])
        return None

    def absorb(self, name: str, prefixes: tuple[str, ...], clock: list[Any]) -> bool:
        """Replace outputs by the registers behind them; tell whether that could be."""
        connections = self._cells[name]["connections"]
        behind = {}
        for port, bit in (entry for prefix in prefixes for entry in self._ports(name, prefix)):
            loads = self._loads[bit]
            if not loads:
                continue
            (load, pin), *others = loads
            if others or pin != "DI" or not self._is_plain(load, clock):
                return False
            behind[port] = load
        for port, register in behind.items():
            output = self._remove(register)
            self._drivers[output] = name
            connections[port] = [output]
        return bool(behind)

    def adopt(self, name: str, prefixes: tuple[str, ...], clock: list[Any]) -> bool:
        """Replace inputs by those of the registers before them; tell whether that could be.

        A register that goes elsewhere as well stays there for that.
        """
        ports = [entry for prefix in prefixes for entry in self._ports(name, prefix)]
        before = {port: self._drivers.get(bit, "") for port, bit in ports}
        if not all(self._is_plain(register, clock) for register in before.values()):
            return False
        for port, bit in ports:
            register = before[port]
            (source,) = self._cells[register]["connections"]["DI"]
            self._cells[name]["connections"][port] = [source]
            self._loads[source].add((name, port))
            self._loads[bit].discard((name, port))
        for register in sorted(set(before.values())):
            if not self._loads[self._cells[register]["connections"]["Q"][0]]:
                self._remove(register)
        return True

    def _ports(self, name: str, prefix: str) -> Iterator[tuple[str, Any]]:
        """Bits of a bus of a cell: port and net."""
        for port, bits in self._cells[name]["connections"].items():
            if port.startswith(prefix) and port.removeprefix(prefix).isdigit():
                yield port, bits[0]

    def _is_plain(self, name: str, clock: list[Any]) -> bool:
        """Whether a cell is a register that a block RAM's or a multiplier's can replace."""
        cell = self._cells.get(name)
        if cell is None or cell["type"] != "TRELLIS_FF":
            return False
        connections, parameters = cell["connections"], cell["parameters"]
        return (
            connections["CLK"] == clock
            and parameters.get("CLKMUX", "CLK") == "CLK"
            and parameters.get("CEMUX", "CE").strip() == "1"
            and parameters.get("REGSET", "RESET") == "RESET"
            and connections.get("LSR", ["0"]) in ([], ["0"])
            and isinstance(connections["DI"][0], int)
        )

    def _remove(self, register: str) -> Any:
        """Take a register out; return the net it drove."""
        connections = self._cells.pop(register)["connections"]
        for port, (bit, *_) in ((port, bits) for port, bits in connections.items() if bits):
            self._loads[bit].discard((register, port))
        return connections["Q"][0]
