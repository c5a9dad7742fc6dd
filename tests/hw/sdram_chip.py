# SPDX-License-Identifier: Apache-2.0
"""An SDR SDRAM as its data sheet tells it: stores data, and raises on whatever is not allowed."""

import random
from dataclasses import dataclass, field

__all__ = ["DATA_SHEETS", "BrokenRule", "DataSheet", "SdramChip"]

NEVER = -(10**12)
LONGEST_ACTIVE = 100_000


class BrokenRule(Exception):
    """The controller did what the data sheet forbids."""


@dataclass(frozen=True, kw_only=True)
class DataSheet:
    """Times in nanoseconds, those with `_ck` in clocks; where both are given, both hold."""

    banks: int
    rows: int
    columns: int
    width: int
    t_ck: dict
    t_rcd: float
    t_rp: float
    t_ras: float
    t_rc: float
    t_rfc: float
    t_wr: float = 0
    t_wr_ck: int = 0
    t_rrd: float = 0
    t_rrd_ck: int = 0
    t_mrd_ck: int = 2
    refreshes: int
    power_up: float


DATA_SHEETS = {
    "MT48LC16M16A2": DataSheet(
        banks=4,
        rows=8192,
        columns=512,
        width=16,
        t_ck={2: 10, 3: 7.5},
        t_rcd=20,
        t_rp=20,
        t_ras=44,
        t_rc=66,
        t_rfc=66,
        t_wr=15,
        t_rrd=15,
        refreshes=8192,
        power_up=100_000,
    ),
    "W9825G6": DataSheet(
        banks=4,
        rows=8192,
        columns=512,
        width=16,
        t_ck={2: 10, 3: 6},
        t_rcd=18,
        t_rp=18,
        t_ras=42,
        t_rc=60,
        t_rfc=60,
        t_wr_ck=2,
        t_rrd_ck=2,
        refreshes=8192,
        power_up=200_000,
    ),
    "EM638325": DataSheet(
        banks=4,
        rows=2048,
        columns=256,
        width=32,
        t_ck={2: 10, 3: 6},
        t_rcd=18,
        t_rp=18,
        t_ras=42,
        t_rc=60,
        t_rfc=60,
        t_wr_ck=2,
        t_rrd=12,
        refreshes=4096,
        power_up=200_000,
    ),
}


@dataclass
class BankOfChip:
    """Times of a bank's last commands, in nanoseconds."""

    row: int | None = None
    opened: float = NEVER
    closed: float = NEVER
    written: float = NEVER
    written_ck: int = NEVER
    busy_ck: int = NEVER


@dataclass
class SdramChip:
    """Call :meth:`clock` at each rising edge with what is on the pins; it returns `dq`.

    What it returns is on `dq` at the next edge; noise where the part does not drive it.
    """

    sheet: DataSheet
    period: float
    seed: int = 0
    now: int = -1
    started: bool = False
    precharged: bool = False
    mode: tuple | None = None
    refreshed: list = field(default_factory=list)
    cells: dict = field(default_factory=dict)
    output: dict = field(default_factory=dict)
    input: dict = field(default_factory=dict)
    masks: dict = field(default_factory=dict)
    mode_ck: int = NEVER
    opened_any: tuple = (NEVER, NEVER, -1)

    def __post_init__(self):
        self.banks = [BankOfChip() for _ in range(self.sheet.banks)]
        self.random = random.Random(self.seed)
        self.interval = 64e6 / self.sheet.refreshes
        self.log = []

    @property
    def time(self):
        return self.now * self.period

    def require(self, held, rule):
        if not held:
            raise BrokenRule(f"clock {self.now}: {rule}; before: {self.log[-6:]}")

    def later(self, since, least, rule):
        self.require(self.time - since >= least - 1e-6, rule)

    def clock(self, pins):
        """Take one rising edge."""
        self.now += 1
        self.require(pins["clk_en"] or self.now == 0, "CKE is low")
        self.masks[self.now] = pins["dqm"]
        name = self.decode(pins)
        if name:
            self.log.append((self.now, name, pins["ba"], pins["a"]))
            self.started_up(name, pins)
            self.require(self.now - self.mode_ck >= self.sheet.t_mrd_ck, "tMRD")
            if self.refreshed:
                self.later(self.refreshed[-1], self.sheet.t_rfc, "tRFC")
            getattr(self, name)(pins["ba"], pins["a"])
        self.take(pins)
        self.long_ago()
        return self.give()

    def decode(self, pins):
        if not pins["cs"]:
            return None
        return {
            (0, 0, 0): None,
            (1, 0, 0): "activate",
            (0, 1, 0): "read",
            (0, 1, 1): "write",
            (1, 0, 1): "precharge",
            (1, 1, 0): "refresh",
            (1, 1, 1): "load_mode",
            (0, 0, 1): "stop",
        }[pins["ras"], pins["cas"], pins["we"]]

    def started_up(self, name, pins):
        if self.mode is None:
            self.later(0, self.sheet.power_up, "a command before the part is up")
            self.require(pins["dqm"] == (1 << self.sheet.width // 8) - 1, "DQM low at start")
            self.require(name in ("precharge", "refresh", "load_mode"), f"{name} before the mode")

    def stop(self, bank, address):
        self.require(False, "burst stop, which cuts a burst")

    def activate(self, number, row):
        bank, sheet = self.banks[number], self.sheet
        self.require(bank.row is None, "a row is opened in a bank with an open one")
        self.require(row < sheet.rows, "no such row")
        self.later(bank.closed, sheet.t_rp, "tRP")
        self.later(bank.opened, sheet.t_rc, "tRC")
        time, clock, _ = self.opened_any
        self.later(time, sheet.t_rrd, "tRRD")
        self.require(self.now - clock >= sheet.t_rrd_ck, "tRRD")
        bank.row, bank.opened = row, self.time
        self.opened_any = (self.time, self.now, number)

    def column(self, number, address):
        bank = self.banks[number]
        self.require(bank.row is not None, "a column of a closed bank")
        self.require(not address >> 10 & 1, "auto-precharge")
        column = (address & 1023) | (address >> 11) << 10
        self.require(column < self.sheet.columns, "no such column")
        self.later(bank.opened, self.sheet.t_rcd, "tRCD")
        length, latency = self.mode
        start = column - column % length
        return (
            bank,
            latency,
            [(number, bank.row, start + (column + step) % length) for step in range(length)],
        )

    def read(self, number, address):
        bank, latency, cells = self.column(number, address)
        self.require(not any(at >= self.now for at in self.input), "a read cuts a write")
        self.require(not any(at >= self.now + latency for at in self.output), "a read cuts a read")
        for step, cell in enumerate(cells):
            self.output[self.now + latency + step] = cell
        bank.busy_ck = self.now + len(cells)

    def write(self, number, address):
        bank, _, cells = self.column(number, address)
        self.require(not any(at >= self.now for at in self.input), "a write cuts a write")
        self.require(not any(at >= self.now for at in self.output), "a write cuts a read")
        for step, cell in enumerate(cells):
            self.input[self.now + step] = cell
        bank.busy_ck = self.now + len(cells)

    def precharge(self, number, address):
        every = address >> 10 & 1
        self.precharged |= bool(every)
        for bank in self.banks if every else [self.banks[number]]:
            if bank.row is None:
                continue
            self.later(bank.opened, self.sheet.t_ras, "tRAS")
            self.later(bank.written, self.sheet.t_wr, "tWR")
            self.require(self.now - bank.written_ck >= self.sheet.t_wr_ck, "tWR")
            self.require(self.now >= bank.busy_ck, "a precharge cuts a burst")
            bank.row, bank.closed = None, self.time
        if every and self.mode is None:
            for bank in self.banks:
                bank.closed = self.time

    def all_closed(self, what):
        self.require(self.precharged, f"{what} before the first precharge")
        for bank in self.banks:
            self.require(bank.row is None, f"{what} with an open row")
            self.later(bank.closed, self.sheet.t_rp, "tRP")
            self.later(bank.opened, self.sheet.t_rc, "tRC")

    def refresh(self, bank, address):
        self.all_closed("a refresh")
        self.refreshed.append(self.time)

    def load_mode(self, bank, address):
        self.all_closed("a mode")
        self.require(len(self.refreshed) >= 2, "a mode before two refreshes")
        length = {0: 1, 1: 2, 2: 4, 3: 8}.get(address & 7)
        latency = address >> 4 & 7
        self.require(length is not None and bank == 0 and not address >> 7, "an unknown mode")
        self.require(not address >> 3 & 1, "bursts that are not sequential")
        self.require(latency in self.sheet.t_ck, "no such latency")
        self.require(self.period >= self.sheet.t_ck[latency] - 1e-6, "a clock too fast for tCK")
        self.mode = (length, latency)
        self.mode_ck = self.now

    def take(self, pins):
        """A transfer of a write, and whether `dq` is driven by one side only."""
        cell = self.input.pop(self.now, None)
        driving = {self.now, self.now - 1} & self.output.keys()
        self.require(not (pins["dq_oe"] and driving), "both sides drive dq")
        self.require(bool(pins["dq_oe"]) == (cell is not None), "dq driven, but not for a write")
        self.output.pop(self.now - 1, None)
        if cell is None:
            return
        bank = self.banks[cell[0]]
        bank.written, bank.written_ck = self.time, self.now
        kept = sum(0xFF << 8 * lane for lane in range(4) if pins["dqm"] >> lane & 1)
        self.cells[cell] = (self.cells.get(cell, 0) & kept) | (pins["dq_o"] & ~kept)

    def give(self):
        """`dq` of the next edge."""
        noise = self.random.getrandbits(self.sheet.width)
        cell = self.output.get(self.now + 1)
        hidden = self.masks.pop(self.now - 1, 0)
        if cell is None:
            return noise
        shown = sum(0xFF << 8 * lane for lane in range(4) if not hidden >> lane & 1)
        return (self.cells.get(cell, 0) & shown) | (noise & ~shown)

    def long_ago(self):
        """What must not wait too long."""
        for bank in self.banks:
            if bank.row is not None:
                self.require(self.time - bank.opened < LONGEST_ACTIVE, "a row open too long")
        if self.mode is None:
            return
        began = self.mode_ck * self.period
        self.require(self.time - self.refreshed[-1] < 2 * self.interval, "no refresh")
        since = sum(time >= began for time in self.refreshed[-4:])
        count = len(self.refreshed) if since == 4 else since
        self.require(count + 1.5 >= (self.time - began) / self.interval, "too few refreshes")
