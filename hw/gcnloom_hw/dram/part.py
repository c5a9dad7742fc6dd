# SPDX-License-Identifier: Apache-2.0
"""SdramPart: what a data sheet says of an SDR SDRAM, and its times in clocks."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from gcnloom_hw.dram.clocks import SdramClocks

__all__ = ["PARTS", "SdramPart", "sdram_part"]

SMALLEST = {"banks": 2, "row_bits": 1, "column_bits": 1, "data_bits": 8}
LATENCIES = (2, 3)


@dataclass(frozen=True, kw_only=True)
class SdramPart:
    """A part's geometry and times, as its data sheet gives them.

    Parameters
    ----------
    name : str
    data_bits : int
        Width of `dq`, whole bytes.
    banks : int
        2 or 4.
    row_bits, column_bits : int
        Bits of a row's and of a column's address.
    latency2_ns, latency3_ns : float
        Shortest clock at CAS latency 2 and 3.
    activate_ns : float
        tRCD, from opening a row to reading or writing it.
    precharge_ns : float
        tRP, from closing a row to opening another.
    active_ns, cycle_ns : float
        tRAS and tRC, from opening a row to closing it and to opening the bank's next.
    refresh_ns, interval_ns : float
        tRFC, what a refresh takes; tREFI, from one to the next.
    write_recovery_ns, write_recovery_clocks : float, int
        tWR, from the last data written to closing their row: the longer of both.
    bank_gap_ns, bank_gap_clocks : float, int
        tRRD, between opening rows of two banks: the longer of both.
    start_ns : float
        From stable power to the first command.
    start_refreshes : int
        Refreshes before the mode register is loaded.
    mode_clocks : int
        tMRD, from loading the mode register to the next command.
    """

    name: str
    data_bits: int
    banks: int
    row_bits: int
    column_bits: int
    latency2_ns: float
    latency3_ns: float
    activate_ns: float
    precharge_ns: float
    active_ns: float
    cycle_ns: float
    refresh_ns: float
    interval_ns: float
    write_recovery_ns: float = 0.0
    write_recovery_clocks: int = 1
    bank_gap_ns: float = 0.0
    bank_gap_clocks: int = 1
    start_ns: float = 200_000.0
    start_refreshes: int = 8
    mode_clocks: int = 2

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name.endswith("_ns") and not 0 <= value < math.inf:
                raise ValueError(f"{field.name}={value} is no time in nanoseconds; try 20.0")
        for name, least in SMALLEST.items():
            if getattr(self, name) < least:
                raise ValueError(f"{name}={getattr(self, name)} is too few; try {least} or more")
        if self.banks not in (2, 4):
            raise ValueError(f"banks={self.banks} is not what SDR SDRAMs have; try 4")
        if self.data_bits % 8 or self.data_bits & (self.data_bits - 1):
            raise ValueError(f"data_bits={self.data_bits} is not 8, 16 or 32; try 16")

    @property
    def capacity(self) -> int:
        """Bytes."""
        return self.banks * self.data_bits // 8 << self.row_bits + self.column_bits

    def clocks(self, frequency: float, *, cas_latency: int | None = None) -> SdramClocks:
        """Count the part's times in clocks.

        Parameters
        ----------
        frequency : float
            Of the clock, in hertz.
        cas_latency : int, optional
            2 or 3 instead of the shortest that the part has at this clock.
        """
        if frequency <= 0:
            raise ValueError(f"frequency={frequency} is no clock in hertz; try 100e6")
        period = 1e9 / frequency
        least = {2: self.latency2_ns, 3: self.latency3_ns}
        fast = [latency for latency in LATENCIES if period > least[latency] * (1 - 1e-9)]
        if not fast:
            raise ValueError(
                f"{self.name} does not run at {frequency / 1e6:.6g} MHz; "
                f"try {1e3 / self.latency3_ns:.6g} MHz or less"
            )
        if cas_latency is not None and cas_latency not in fast:
            raise ValueError(
                f"cas_latency={cas_latency} is not one of {self.name} at "
                f"{frequency / 1e6:.6g} MHz; try {fast[0]}"
            )

        def count(time: float, least: int = 1) -> int:
            # What is a whole number of clocks stays that in binary floating point.
            return max(least, math.ceil(time / period - 1e-6))

        precharge = count(self.precharge_ns)
        return SdramClocks(
            cas_latency=cas_latency or fast[0],
            activate=count(self.activate_ns),
            precharge=precharge,
            # The bank's next row is opened at the earliest `precharge` after closing this one.
            active=max(count(self.active_ns), count(self.cycle_ns) - precharge),
            refresh=count(self.refresh_ns),
            interval=math.floor(self.interval_ns / period + 1e-6),
            write_recovery=count(self.write_recovery_ns, self.write_recovery_clocks),
            bank_gap=count(self.bank_gap_ns, self.bank_gap_clocks),
            start=count(self.start_ns),
            start_refreshes=self.start_refreshes,
            mode=self.mode_clocks,
        )

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> "SdramPart":
        """Build from plain values, such as a table of a board's TOML file."""
        known = [field.name for field in fields(cls)]
        for name in values:
            if name not in known:
                raise ValueError(f"unknown field {name!r}; known are {', '.join(known)}")
        try:
            return cls(**values)
        except TypeError as error:
            raise ValueError(f"SDRAM {values.get('name', '')!r}: {error}") from error


PARTS = {
    part.name: part
    for part in (
        # 32 MB, on the ULX3S; speed grade -75.
        SdramPart(
            name="MT48LC16M16A2",
            data_bits=16,
            banks=4,
            row_bits=13,
            column_bits=9,
            latency2_ns=10.0,
            latency3_ns=7.5,
            activate_ns=20.0,
            precharge_ns=20.0,
            active_ns=44.0,
            cycle_ns=66.0,
            refresh_ns=66.0,
            interval_ns=64e6 / 8192,
            write_recovery_ns=15.0,
            bank_gap_ns=15.0,
            start_ns=100_000.0,
        ),
        # 32 MB; speed grade -6I, whose times the IS42S16160 of grade -7 and the AS4C16M16 of
        # grade -6 keep to as well.
        SdramPart(
            name="W9825G6",
            data_bits=16,
            banks=4,
            row_bits=13,
            column_bits=9,
            latency2_ns=10.0,
            latency3_ns=7.0,
            activate_ns=18.0,
            precharge_ns=18.0,
            active_ns=42.0,
            cycle_ns=60.0,
            refresh_ns=60.0,
            interval_ns=64e6 / 8192,
            write_recovery_ns=14.0,
            write_recovery_clocks=2,
            bank_gap_ns=14.0,
            bank_gap_clocks=2,
        ),
        # 8 MB, on the Colorlight i5 and i9; speed grade -6.
        SdramPart(
            name="EM638325",
            data_bits=32,
            banks=4,
            row_bits=11,
            column_bits=8,
            latency2_ns=10.0,
            latency3_ns=6.0,
            activate_ns=18.0,
            precharge_ns=18.0,
            active_ns=42.0,
            cycle_ns=60.0,
            refresh_ns=60.0,
            interval_ns=64e6 / 4096,
            write_recovery_clocks=2,
            bank_gap_ns=12.0,
        ),
    )
}
"""Parts on boards, by name."""


def sdram_part(part: str | Mapping[str, Any]) -> SdramPart:
    """Look up a part by name, or build one from a board file's table."""
    if not isinstance(part, str):
        return SdramPart.from_mapping(part)
    if part not in PARTS:
        raise ValueError(f"unknown SDRAM {part!r}; use one of {', '.join(PARTS)} or a table")
    return PARTS[part]
