# SPDX-License-Identifier: Apache-2.0
"""SdramClocks: the times of an SDR SDRAM in clocks."""

from dataclasses import dataclass, fields

__all__ = ["SdramClocks"]

TURN = 1
"""Clocks in which nobody drives `dq` between the last data read and the first written."""


@dataclass(frozen=True, kw_only=True)
class SdramClocks:
    """When a command may follow another, in clocks; 1 is the very next clock.

    Parameters
    ----------
    cas_latency : int
        From a read command to its first data: 2 or 3.
    activate : int
        tRCD, from opening a row to reading or writing it.
    precharge : int
        tRP, from closing a row to opening another in its bank.
    active : int
        tRAS, from opening a row to closing it; long enough that tRC holds as well.
    refresh : int
        tRFC, what a refresh takes.
    interval : int
        tREFI: so often a refresh falls due.
    write_recovery : int
        tWR, from the last data written to closing their row.
    bank_gap : int
        tRRD, between opening rows of two banks.
    start : int
        From reset to the first command.
    start_refreshes : int
        Refreshes before the mode register is loaded.
    mode : int
        tMRD, from loading the mode register to the next command.
    """

    cas_latency: int
    activate: int
    precharge: int
    active: int
    refresh: int
    interval: int
    write_recovery: int
    bank_gap: int
    start: int
    start_refreshes: int
    mode: int

    def __post_init__(self) -> None:
        for field in fields(self):
            if getattr(self, field.name) < 1:
                raise ValueError(
                    f"{field.name}={getattr(self, field.name)} clocks are too few; try 1 or more"
                )
        if self.cas_latency not in (2, 3):
            raise ValueError(f"cas_latency={self.cas_latency} is not supported; try 2 or 3")

    def write_after_read(self, burst: int) -> int:
        """Clocks from a read of `burst` transfers to the next write command."""
        return self.cas_latency + burst + TURN

    def close_after_write(self, burst: int) -> int:
        """Clocks from a write of `burst` transfers to closing its row."""
        return burst - 1 + self.write_recovery

    def delay(self, burst: int, bursts: int) -> int:
        """Most clocks from falling due to the refresh, with words of so many bursts.

        The longest way there: a row is opened in the clock of falling due, the word that it was
        opened for is written after a read of another bank, and its row is closed.
        """
        first = max(self.activate, self.write_after_read(burst))
        moved = first + (bursts - 1) * burst + self.close_after_write(burst)
        return 2 + max(self.active, moved) + self.precharge
