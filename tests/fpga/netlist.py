# SPDX-License-Identifier: Apache-2.0
"""A simulator of small ECP5 netlists, cycle by cycle and with two values.

The cells behave as Lattice's FPGA-TN-02204 (memories), FPGA-TN-02205 (sysDSP) and yosys' models of
the fabric say; multipliers and block RAMs have no yosys model that computes.
"""

NOTHING = (0, 0, 0)


def number(value):
    """A parameter of yosys' JSON netlist: binary digits, or what nextpnr calls ``0b...``."""
    text = str(value).removeprefix("0b")
    return int(text, 2) if set(text) <= set("01x") and text else value


def signed(value, bits):
    return value - (1 << bits) if value >> (bits - 1) else value


class Netlist:
    """Set `inputs`, call `tick`, read `outputs`; every register and memory starts at zero."""

    def __init__(self, module):
        self._cells = module["cells"]
        self._ports = module["ports"]
        self._nets = {"0": 0, "1": 1, "x": 0, "z": 0}
        self._state = {}
        self._settle()

    def set(self, **values):
        for name, value in values.items():
            for index, bit in enumerate(self._ports[name]["bits"]):
                self._nets[bit] = value >> index & 1
        self._settle()

    def get(self, name):
        return sum(self._net(bit) << i for i, bit in enumerate(self._ports[name]["bits"]))

    def tick(self):
        """One rising edge of every clock."""
        upcoming = {}
        for name, cell in self._cells.items():
            if cell["type"] in CLOCKED:
                upcoming[name] = CLOCKED[cell["type"]](_Pins(self, cell), self._state.get(name))
        self._state = upcoming
        self._settle()

    def _net(self, bit):
        return self._nets.get(bit, 0)

    def _settle(self):
        changed = True
        while changed:
            changed = False
            for name, cell in self._cells.items():
                pins = _Pins(self, cell)
                for port, value in DRIVES[cell["type"]](pins, self._state.get(name)).items():
                    for bit in cell["connections"].get(port, []):
                        changed |= self._net(bit) != value
                        self._nets[bit] = value


class _Pins:
    """A cell's inputs and parameters."""

    def __init__(self, netlist, cell):
        self._netlist, self._cell = netlist, cell

    def __getitem__(self, port):
        bits = self._cell["connections"].get(port) or ["0"]
        return self._netlist._net(bits[0])

    def bus(self, prefix, low, high):
        return sum(self[f"{prefix}{i}"] << (i - low) for i in range(low, high))

    def parameter(self, name, default=0):
        return number(self._cell["parameters"].get(name, default))

    def uses(self, name):
        return self.parameter(name, "NONE") != "NONE"


def _lut(pins, _):
    return {"Z": pins.parameter("INIT") >> sum(pins[p] << i for i, p in enumerate("ABCD")) & 1}


def _flip_flop(pins, q):
    enable = {"1": 1, "0": 0, "INV": 1 - pins["CE"]}.get(
        str(pins.parameter("CEMUX", "CE")).strip(), pins["CE"]
    )
    if pins["LSR"]:
        return int(pins.parameter("REGSET") == "SET")
    return pins["DI"] if enable else q or 0


def _multiplier(pins, state):
    """Operands and product as registers would take them, whether there are registers or not."""
    return pins.bus("A", 0, 18), pins.bus("B", 0, 18), _product(pins, state)


def _product(pins, state):
    a, b, _ = state or NOTHING
    a = a if pins.uses("REG_INPUTA_CLK") else pins.bus("A", 0, 18)
    b = b if pins.uses("REG_INPUTB_CLK") else pins.bus("B", 0, 18)
    a = signed(a, 18) if pins["SIGNEDA"] else a
    b = signed(b, 18) if pins["SIGNEDB"] else b
    return a * b % (1 << 36)


def _product_out(pins, state):
    product = (state or NOTHING)[2] if pins.uses("REG_OUTPUT_CLK") else _product(pins, state)
    return {f"P{i}": product >> i & 1 for i in range(36)}


def _memory(pins, state):
    """Two ports of 18 bits: words, what was read last, and that once more, a cycle later."""
    words, latch, _ = state or ({}, {}, {})
    following, reads = dict(words), dict(latch)
    for port in "AB":
        if pins.parameter(f"DATA_WIDTH_{port}") != 18:
            raise ValueError("only ports of 18 bits are modelled")
        if not pins[f"CE{port}"]:
            continue
        address = pins.bus(f"AD{port}", 4, 14)
        reads[port] = words.get(address, 0)
        if pins[f"WE{port}"]:
            mask = 0x1FF * pins[f"AD{port}0"] | 0x3FE00 * pins[f"AD{port}1"]
            data = pins.bus(f"DI{port}", 0, 18)
            following[address] = words.get(address, 0) & ~mask | data & mask
    return following, reads, latch


def _memory_out(pins, state):
    _, latch, registered = state or ({}, {}, {})
    driven = {}
    for port in "AB":
        word = registered if pins.parameter(f"REGMODE_{port}", "NOREG") == "OUTREG" else latch
        driven |= {f"DO{port}{i}": word.get(port, 0) >> i & 1 for i in range(18)}
    return driven


CLOCKED = {"TRELLIS_FF": _flip_flop, "MULT18X18D": _multiplier, "DP16KD": _memory}
DRIVES = {
    "LUT4": _lut,
    "PFUMX": lambda pins, _: {"Z": pins["ALUT"] if pins["C0"] else pins["BLUT"]},
    "TRELLIS_FF": lambda pins, q: {"Q": q or 0},
    "MULT18X18D": _product_out,
    "DP16KD": _memory_out,
}
